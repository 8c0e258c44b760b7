import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lconv_jax import errors, models, runs
from lconv_jax.runs import checkpoint
from tests import fake_runs

KERNEL = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
IMAGE = (8, 8, 1)


@pytest.fixture
def path(tmp_path):
  return fake_runs.write(
    tmp_path / 'run', kernel=KERNEL, image=IMAGE, model__base_channels=1,
    model__dropout=0.5,
  )  # fmt: skip


@pytest.mark.parametrize('num_classes', [None, 10])
def test_a_net_comes_with_its_description(path, num_classes):
  run = runs.read(path)
  net, variables = runs.load_net(run, IMAGE, num_classes)
  run.config.model.dropout = 0.0
  assert net.module == models.build(run.config.model, IMAGE, 10)
  np.testing.assert_array_equal(variables['params']['conv1']['kernel'], KERNEL)
  variables = jax.tree.map(jnp.asarray, variables)
  logits = net.module.apply(variables, jnp.ones((2, *IMAGE)))
  np.testing.assert_array_equal(logits, np.zeros((2, 10)))


def test_the_last_net_is_that_of_the_state(path):
  best = fake_runs.variables(runs.read(path).config.model, KERNEL, IMAGE)
  last = fake_runs.variables(runs.read(path).config.model, -KERNEL, IMAGE)
  checkpoints = checkpoint.Checkpoints(path)
  checkpoints.save(9, checkpoint.Checkpoint(last, best, {'epoch': 1.0}))
  checkpoints.close()
  for which, sign in (('best', 1), ('last', -1)):
    _, variables = runs.load_net(runs.read(path), IMAGE, which=which)
    kernel = variables['params']['conv1']['kernel']
    np.testing.assert_array_equal(kernel, sign * KERNEL)


@pytest.mark.parametrize(
  ('image', 'num_classes', 'words'),
  [
    ((8, 8, 3), None, r'params/conv1/kernel is float32\[64, 16\] there'),
    (IMAGE, 3, r'params/fc2/bias is float32\[10\] there'),
  ],
)
def test_a_net_for_other_images_or_classes_is_refused(
  path, image, num_classes, words
):
  with pytest.raises(errors.UsageError, match=rf'in {path} is of .* {words}'):
    runs.load_net(runs.read(path), image, num_classes)


def test_a_net_of_another_config_is_refused(path):
  run = runs.read(path)
  run.config.model.base_channels = 2
  with pytest.raises(errors.UsageError, match='of another architecture'):
    runs.load_net(run, IMAGE)


def test_a_run_without_a_checkpoint_has_no_net(tmp_path):
  run = runs.read(fake_runs.write(tmp_path / 'run'))
  with pytest.raises(errors.UsageError, match='holds no checkpoint'):
    runs.load_net(run, IMAGE)
