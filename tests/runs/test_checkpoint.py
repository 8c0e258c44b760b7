import numpy as np
import optax
import pytest

from lconv_jax import errors
from lconv_jax.runs import checkpoint


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


def restore(folder, width=3):
  checkpoints = checkpoint.Checkpoints(folder)
  try:
    return checkpoints.restore(state(width), best(width))
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


def test_a_damaged_checkpoint_leaves_the_one_before_it(tmp_path):
  save(tmp_path, 1, 2)
  damage(tmp_path, 2)
  assert restore(tmp_path).best_row == {'epoch': 1}
  params = checkpoint.load_net(tmp_path, 'last')['params']
  assert (params['fc1']['kernel'] == 1).all()
  # Reading deletes nothing: what is damaged here may be readable elsewhere.
  assert (tmp_path / checkpoint.FOLDER / '2').exists()


def test_training_on_replaces_what_was_damaged(tmp_path):
  save(tmp_path, 2, 4)
  damage(tmp_path, 4)
  checkpoints = checkpoint.Checkpoints(tmp_path)
  checkpoints.restore(state(), best())
  checkpoints.save(3, checkpoint.Checkpoint(state(), best(), {'epoch': 3}))
  checkpoints.close()
  assert restore(tmp_path).best_row == {'epoch': 3}


def test_nothing_but_damage_is_said_in_a_sentence(tmp_path):
  save(tmp_path, 1)
  damage(tmp_path, 1)
  for read in (restore, checkpoint.load_net):
    with pytest.raises(errors.UsageError, match='None of the checkpoints'):
      read(tmp_path)


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
