import numpy as np
import pytest

from configs import base
from lconv_jax import augment, errors, runs


def splits(images=12, label=1):
  pixels = np.arange(images * 48, dtype=np.uint8).reshape(images, 4, 4, 3)
  labels = np.full(images, label, np.int32)
  return {'train': (pixels, labels), 'test': (pixels[:2], labels[:2])}


def check(folder, policy=None, epochs=4, **changes):
  config = base.base()
  config.train.epochs = epochs
  opened = runs.Folder(folder, config)
  with opened.open():
    opened.check_inputs(runs.inputs.of(splits(**changes), policy))


@pytest.fixture
def begun(tmp_path):
  folder = tmp_path / 'run'
  check(folder, label=2)  # before it began
  check(folder, policy=augment.load_policy('fa_reduced_cifar10'))
  (folder / 'metrics.jsonl').write_text('{"step": 1}\n')
  (folder / runs.checkpoint.FOLDER / '1').mkdir(parents=True)
  return folder


def test_the_same_inputs_continue_and_others_are_refused(begun):
  cifar10, svhn = map(
    augment.load_policy, ('fa_reduced_cifar10', 'fa_reduced_svhn')
  )
  check(begun, policy=cifar10)
  for changes, named in (
    ({'label': 2}, 'train labels int32.12. .*; test labels'),
    ({'images': 5}, r'train images uint8\[12, 4, 4, 3\] .*now uint8\[5, '),
    ({'policy': svhn}, r'inputs \(augmentation policy \w+, now \w+\)'),
  ):
    with pytest.raises(errors.UsageError, match=named):
      check(begun, **{'policy': cifar10, **changes})
  check(begun, epochs=0)  # an evaluation needs no policy
  with pytest.raises(errors.UsageError, match='test labels'):
    check(begun, label=2, epochs=0)


def test_a_run_of_before_is_compared_from_now_on(begun):
  path = begun / runs.inputs.FILE
  path.unlink()
  runs.inputs.check(begun, {'train images': 'anything'})
  check(begun, label=2)
  check(begun, label=2)
  with pytest.raises(errors.UsageError, match='other inputs'):
    check(begun)
  path.write_text('{"train')
  with pytest.raises(errors.UsageError, match=r'inputs\.json is damaged'):
    check(begun)
