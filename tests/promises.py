"""Programs that must run with one extra of setup.py and nothing else.

  python tests/promises.py [EXTRA ...]

Builds a virtual environment for each promise, installs the package with that
extra and nothing else, runs the program, and prints how large it has become.
"""

import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).parents[1]

# The layer, the optimiser, the augmentation and the measures of locality.
CORE = """
import jax, jax.numpy as jnp, numpy as np, optax
import lconv_jax
from lconv_jax import augment, locality

assert lconv_jax.__version__
x = jnp.ones((2, 8, 8, 3))
layer = lconv_jax.LocalConv(features=4, kernel_size=(3, 3))
params = layer.init(jax.random.key(0), x)
assert layer.apply(params, x).shape == (2, 8, 8, 4)
kernel = jnp.ones((4, 4, 3, 3, 3, 5))
assert lconv_jax.local_conv(x, kernel, strides=2).shape == (2, 4, 4, 5)

tx = optax.chain(
  lconv_jax.add_l1(1e-3, mask=lconv_jax.kernel_mask),
  optax.scale_by_learning_rate(0.1),
  lconv_jax.threshold(1e-2, mask=lconv_jax.kernel_mask),
)
for tx in (tx, lconv_jax.beta_lasso(0.1, l1=1e-3, beta=10.0)):
  updates, _ = tx.update(params, tx.init(params), params)

images = np.zeros((2, 8, 8, 3), np.uint8)
assert augment.apply_op('Rotate', images, 10.0).shape == images.shape
policy = augment.load_policy('fa_reduced_cifar10')
locality.measure(np.random.default_rng(0).normal(size=(4, 8, 8, 3)))
"""

MDL = """
import numpy as np
from lconv_jax import mdl

params = {'fc1': {'kernel': np.random.default_rng(0).normal(size=(30, 20))}}
coarse = mdl.quantise(params, k=16, b=12)
data = mdl.encode(coarse, b=12, code='entropy')
again = mdl.decode(data, coarse, b=12, code='entropy')
assert (again['fc1']['kernel'] == coarse['fc1']['kernel']).all()
"""

EXPORT = """
import json, pathlib, tempfile
import numpy as np, onnx, onnxruntime, safetensors
from PIL import Image
from lconv_jax import predict

steps = [
  {'op': 'image', 'inputs': [], 'shape': [1, 1, 3]},
  {'op': 'dense', 'inputs': [0], 'shape': [2], 'name': 'fc1'},
]
net = {
  'version': 1, 'image_shape': [1, 1, 3], 'class_names': ['red', 'blue'],
  'sparse': False, 'piece': 1, 'steps': steps,
}
with tempfile.TemporaryDirectory() as folder:
  file, image = pathlib.Path(folder, 'net.npz'), f'{folder}/red.png'
  np.savez(
    file, net=np.frombuffer(json.dumps(net).encode(), np.uint8),
    **{'fc1.weight': np.float32([[1, 0, 0], [0, 0, 1]])},
    **{'fc1.bias': np.zeros(2, np.float32)},
  )
  Image.new('RGB', (8, 8), (255, 0, 0)).save(image)
  assert predict.main([str(file), image]) == 0
"""

# Run in the root of a checkout, as main.py and configs/ are not installed.
TRAIN = """
import pathlib, subprocess, sys, tempfile

with tempfile.TemporaryDirectory() as folder:
  said = subprocess.run(
    [sys.executable, 'main.py', '--config=configs/s_fc.py:nlgp,smoke',
     '--config.data.nlgp.train=1500', '--config.data.nlgp.test=200',
     '--config.data.limit=0',
     f'--workdir={folder}/run'],
    capture_output=True, text=True,
  )
  assert said.returncode == 0, said.stdout + said.stderr
  events = list(pathlib.Path(folder, 'run').glob('events.out.*'))
  assert bool(events) == TENSORFLOW, events
  assert ('lconv_jax[tensorboard]' in said.stderr) != TENSORFLOW, said.stderr
  subprocess.run(
    [sys.executable, '-m', 'lconv_jax.report', f'{folder}/run'], check=True
  )
"""

PROMISES = {
  '': CORE,
  'export': EXPORT,
  'mdl': MDL,
  'train': f'TENSORFLOW = False\n{TRAIN}',
  'tensorboard': f'TENSORFLOW = True\n{TRAIN}',
  'all': CORE + EXPORT + MDL,
}


def check(extra: str, folder: pathlib.Path) -> None:
  """Builds an environment with one extra, and runs what is promised of it."""
  venv.create(folder, with_pip=True)
  python = str(folder / 'bin' / 'python')
  package = f'{ROOT}[{extra}]' if extra else str(ROOT)
  install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check']
  subprocess.run([python, *install, package], check=True, cwd=folder)
  subprocess.run([python, '-c', PROMISES[extra]], check=True, cwd=ROOT)
  size = sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())
  print(f'lconv_jax[{extra}]: holds, {size / 1e6:,.0f} MB', flush=True)


def main() -> None:
  """Checks the promises named in the command line, or all."""
  for extra in sys.argv[1:] or PROMISES:
    with tempfile.TemporaryDirectory() as folder:
      check(extra, pathlib.Path(folder))


if __name__ == '__main__':
  main()
