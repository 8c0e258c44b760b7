import errno
import json
import pathlib
import shutil

import numpy as np
import optax
import pytest

from lconv_jax import errors
from lconv_jax.runs import checkpoint, stored


def state(width=3, fill=1.0):
  params = {'fc1': {'kernel': np.full((2, width), fill, np.float32)}}
  opt_state = optax.sgd(0.1, 0.9).init(params)
  return {'params': params, 'batch_stats': {}, 'opt_state': opt_state}


def best(width=3, fill=1.0):
  return {'params': state(width, fill)['params'], 'batch_stats': {}}


def save(folder, *steps):
  checkpoints = checkpoint.Checkpoints(folder)
  for step in steps:
    checkpoints.save(
      step,
      checkpoint.Checkpoint(
        state(fill=step), best(fill=-step), {'epoch': step}
      ),
    )
  checkpoints.close()


def restore(folder, width=3, step=None):
  """Returns the newest checkpoint, or that of a step."""
  steps = checkpoint.steps(folder)
  if not steps:
    return None
  checkpoints = checkpoint.Checkpoints(folder)
  try:
    like = state(width), best(width)
    return checkpoints.restore(*like, step or steps[-1])
  finally:
    checkpoints.close()


def kernel(tree):
  return tree['params']['fc1']['kernel']


def test_the_newest_comes_back_whole(tmp_path):
  assert restore(tmp_path) is None
  save(tmp_path, 1, 2, 3)
  saved = restore(tmp_path)
  assert (kernel(saved.state) == 3).all() and (kernel(saved.best) == -3).all()
  assert saved.best_row == {'epoch': 3}
  assert type(saved.state['opt_state']) is type(state()['opt_state'])
  for which, fill in (('best', -3), ('last', 3)):
    params = checkpoint.load_net(tmp_path, which)['params']
    assert (params['fc1']['kernel'] == fill).all()


def test_half_a_checkpoint_is_none(tmp_path):
  (tmp_path / checkpoint.FOLDER / '2.orbax-checkpoint-tmp').mkdir(parents=True)
  assert not checkpoint.exists(tmp_path)
  with pytest.raises(errors.UsageError, match='no checkpoint'):
    checkpoint.load_net(tmp_path)['params']
  save(tmp_path, 4)
  assert checkpoint.exists(tmp_path)


def test_an_interrupted_save_is_ignored(tmp_path):
  save(tmp_path, 1)
  folder = tmp_path / checkpoint.FOLDER
  (folder / '2.orbax-checkpoint-tmp-7').mkdir()
  (folder / '2.orbax-checkpoint-tmp-7' / 'half').write_text('x')
  assert restore(tmp_path).best_row == {'epoch': 1}


def damage(folder, step):
  for item in (folder / checkpoint.FOLDER / str(step)).rglob('*'):
    if item.is_file():
      item.write_bytes(b'')


@pytest.fixture
def said(monkeypatch):
  """What is warned about."""
  found = []
  for module in (checkpoint, stored):
    monkeypatch.setattr(
      module.logging, 'warning', lambda text, *args: found.append(text % args)
    )
  stored._notice.cache_clear()
  return found


def test_a_damaged_checkpoint_leaves_the_one_before_it(tmp_path, said):
  save(tmp_path, 1, 2)
  damage(tmp_path, 2)
  assert restore(tmp_path) is None
  assert restore(tmp_path, step=1).best_row == {'epoch': 1}
  assert len(said) == 1 and f'{tmp_path}/checkpoints/2 is damaged' in said[0]
  params = checkpoint.load_net(tmp_path, 'last')['params']
  assert (params['fc1']['kernel'] == 1).all()
  # Reading deletes nothing: what is damaged here may be readable elsewhere.
  assert (tmp_path / checkpoint.FOLDER / '2').exists()


def test_no_flipped_bit_goes_unseen(tmp_path, said):
  """Whatever can be read is what was saved."""
  save(tmp_path, 1)
  want = restore(tmp_path)
  files = [p for p in tmp_path.rglob('*') if p.is_file() and p.stat().st_size]
  rng = np.random.default_rng(0)
  seen = 0
  for number in range(60):
    path = files[number % len(files)]
    before = path.read_bytes()
    content = bytearray(before)
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    found = restore(tmp_path)
    seen += found is None
    if found is not None:
      assert found.best_row == want.best_row
      for one, other in ((found.state, want.state), (found.best, want.best)):
        np.testing.assert_array_equal(kernel(one), kernel(other))
    path.write_bytes(before)
  assert 20 < seen == len(said) < 60


def test_a_checkpoint_of_before_has_no_checksums_and_one_notice(tmp_path, said):
  save(tmp_path, 1)
  folder = tmp_path / checkpoint.FOLDER / '1'
  shutil.rmtree(folder / stored.ABOUT)
  assert restore(tmp_path) is None  # it is listed, and missing
  assert 'is damaged' in said.pop()
  listed = folder / '_CHECKPOINT_METADATA'
  content = json.loads(listed.read_text())
  del content['item_handlers'][stored.ABOUT]
  listed.write_text(json.dumps(content))
  for _ in range(2):
    assert (kernel(restore(tmp_path).state) == 1).all()
  assert checkpoint.about(tmp_path) == {}
  assert len(said) == 1 and 'no checksums' in said[0]


def test_training_on_keeps_what_was_damaged_elsewhere(tmp_path):
  save(tmp_path, 2, 4)
  damage(tmp_path, 4)
  damaged = set()
  checkpoints = checkpoint.Checkpoints(tmp_path, damaged)
  assert checkpoints.restore(state(), best(), 4) is None and damaged == {4}
  checkpoints.begin(2)
  checkpoints.save(3, checkpoint.Checkpoint(state(), best(), {'epoch': 3}))
  checkpoints.close()
  assert checkpoint.steps(tmp_path) == [2, 3]
  assert restore(tmp_path).best_row == {'epoch': 3}
  assert (tmp_path / checkpoint.DAMAGED / '4').exists()


def test_what_is_good_and_later_is_made_again(tmp_path):
  save(tmp_path, 2, 4)
  checkpoints = checkpoint.Checkpoints(tmp_path)
  checkpoints.begin(2)
  assert checkpoint.steps(tmp_path) == [2]
  checkpoints.save(3, checkpoint.Checkpoint(state(), best(), {'epoch': 3}))
  checkpoints.close()
  assert checkpoint.steps(tmp_path) == [2, 3]
  assert not (tmp_path / checkpoint.DAMAGED).exists()


@pytest.mark.parametrize(
  'error',
  [
    MemoryError(),
    ValueError('PERMISSION_DENIED: Error opening "zarr" driver'),
    RuntimeError('RESOURCE_EXHAUSTED: Out of memory'),
    RuntimeError("can't start new thread"),
    'unreadable',
  ],
)
def test_what_may_pass_stops_and_deletes_nothing(error, tmp_path, monkeypatch):
  save(tmp_path, 1, 2)

  def fail(*args, **kwargs):
    raise ValueError('DATA_LOSS') if isinstance(error, str) else error

  monkeypatch.setattr(stored, '_read', fail)
  if isinstance(error, str):  # a library's error does not tell

    def unreadable(self, mode):
      raise OSError(errno.EIO, 'Input/output error', str(self))

    monkeypatch.setattr(pathlib.Path, 'open', unreadable)
  for read in (restore, checkpoint.load_net, checkpoint.about):
    with pytest.raises(errors.UsageError, match='checkpoints/2 cannot be read'):
      read(tmp_path)
  monkeypatch.undo()
  assert restore(tmp_path).best_row == {'epoch': 2}
  assert checkpoint.steps(tmp_path) == [1, 2]


def test_a_checkpoint_of_another_step_is_an_error(tmp_path):
  save(tmp_path, 1)
  folder = tmp_path / checkpoint.FOLDER
  checkpoints = checkpoint.Checkpoints(tmp_path)
  shutil.copytree(folder / '1', folder / '9000')
  for read in (restore, checkpoint.load_net, checkpoint.about):
    with pytest.raises(
      errors.UsageError, match=r'9000 holds .* of step 1, not'
    ):
      read(tmp_path)
  checkpoints._manager.reload()
  new = checkpoint.Checkpoint(state(), best(), {})
  with pytest.raises(errors.UsageError, match='where 9000 is the newest; move'):
    checkpoints.save(2, new)
  checkpoints.close()


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
  checkpoints = checkpoint.Checkpoints(tmp_path)
  original = stored.manager

  def damaging(folder):
    damage(tmp_path, 1)
    return original(folder)

  new = checkpoint.Checkpoint(state(), best(), {})
  with monkeypatch.context() as m:
    m.setattr(stored, 'manager', damaging)
    with pytest.raises(
      errors.UsageError, match=r'step 1 was saved .* read back'
    ):
      checkpoints.save(1, new)
    monkeypatch.setattr(checkpoints, '_read_back', None)
    checkpoints.save(2, new)
  checkpoints.close()


def test_a_checkpoint_says_what_it_is(tmp_path):
  rows, config = [{'step': 1, 'a': 0.1}], {'seed': 3, 'model': {'name': 'fc3'}}
  for step in (1, 2):
    group = {'a': {'seed': step}}
    checkpoints = checkpoint.Checkpoints(tmp_path)
    checkpoints.save(
      step,
      checkpoint.Checkpoint(state(), best(), {'e': 1}, rows, config, group),
    )
    checkpoints.close()
    found = checkpoint.about(tmp_path)
    assert found['first'] == (step == 1) and found['group'] == group
    assert restore(tmp_path)[2:] == ({'e': 1}, rows, config, group)
  checkpoint.load_net(tmp_path, config=config)
  config['model']['name'] = 's_fc'
  with pytest.raises(
    errors.UsageError, match=r"another run .*'fc3', now 's_fc'"
  ):
    checkpoint.load_net(tmp_path, config=config)
  damage(tmp_path, 2)
  assert checkpoint.about(tmp_path)['step'] == 1


def test_nothing_but_damage_is_said_in_a_sentence(tmp_path):
  save(tmp_path, 1)
  damage(tmp_path, 1)
  assert checkpoint.about(tmp_path) == {}
  with pytest.raises(errors.UsageError, match='None of the checkpoints'):
    checkpoint.load_net(tmp_path)


def test_another_architecture_is_refused_with_both_shapes(tmp_path):
  save(tmp_path, 1)
  with pytest.raises(errors.UsageError, match=r'(?s)\[2, 3\].*\[2, 4\]'):
    restore(tmp_path, width=4)


def test_params_of_nothing_are_refused(tmp_path):
  with pytest.raises(errors.UsageError, match='no checkpoint'):
    checkpoint.load_net(tmp_path)['params']


def test_a_save_that_fails_says_what_to_do(tmp_path, monkeypatch):
  save(tmp_path, 1)
  checkpoints = checkpoint.Checkpoints(tmp_path)

  def full(*args, **kwargs):
    raise ValueError('RESOURCE_EXHAUSTED: No space left on device')

  monkeypatch.setattr(checkpoints._manager, 'save', full)
  with pytest.raises(errors.UsageError, match=r'No space left.*make room'):
    checkpoints.save(2, checkpoint.Checkpoint(state(), best(), {}))
  checkpoints.close()
  assert restore(tmp_path).best_row == {'epoch': 1}
