"""Several devices, as virtual ones in processes of their own."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]

# Five steps of a net with Fast AutoAugment and dropout on global batches of 16;
# then the evaluation of 37 images.
SCRIPT = """
import json, sys
import jax, numpy as np
from configs import base
from lconv_jax.data import dataset as data
from lconv_jax.train import parallel, trainer

c = base.base()
base.nlgp(c)
c.model.name = sys.argv[1]
c.model.base_channels, c.model.dropout = 1, 0.25
c.data.nlgp.update({'train': 117, 'test': 37, 'channels': 3})
c.data.validation, c.data.augment = 37, 'fast_autoaugment'
c.optim.update({'l1_conv': 1e-3, 'l1_fc': 1e-3, 'beta': 5.0})
c.train.batch_size, c.train.epochs = 16, 2
t = trainer.Trainer(trainer.setup(c, data.load(c.data)))
losses = [float(t.train_until(stop)[0].loss) for stop in range(1, 6)]
net = parallel.unreplicate(t.state.params)
print(json.dumps({
  'devices': parallel.device_count(),
  'losses': losses,
  'conv1': float(np.abs(net['conv1']['kernel']).sum()),
  'row': t.evaluate(t.net())[0],
}))
"""


@functools.cache
def on(devices, name):
  flags = f'--xla_force_host_platform_device_count={devices}'
  result = subprocess.run(
    [sys.executable, '-c', SCRIPT, name],
    cwd=ROOT,
    env={**os.environ, 'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr[-2000:]
  return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
  ('name', 'devices'), [('s_fc', 2), ('s_fc', 8), ('s_local', 2)]
)
def test_devices_do_not_change_the_trajectory(name, devices):
  one, many = on(1, name), on(devices, name)
  assert (one['devices'], many['devices']) == (1, devices)
  np.testing.assert_allclose(many['losses'], one['losses'], rtol=1e-4)
  np.testing.assert_allclose(many['conv1'], one['conv1'], rtol=1e-4)
  for key, value in one['row'].items():
    np.testing.assert_allclose(many['row'][key], value, rtol=1e-3, err_msg=key)
