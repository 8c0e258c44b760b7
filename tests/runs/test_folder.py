import errno
import json

import pytest

from configs import base
from lconv_jax import errors, runs
from lconv_jax.runs import lock


@pytest.fixture
def config():
  return base.base()


def begin(path, config):
  """Opens a folder for the first time and leaves a row of metrics."""
  with runs.Folder(path, config).open():
    (path / 'metrics.jsonl').write_text('{"step": 1}\n')


def refused(path, config, match):
  with pytest.raises(errors.UsageError, match=match):
    with runs.Folder(path, config).open():
      pass


def test_a_new_folder_gets_config_and_environment(tmp_path, config):
  with runs.Folder(tmp_path / 'a' / 'b', config).open():
    content = json.loads((tmp_path / 'a' / 'b' / 'config.json').read_text())
  assert content['optim']['lr'] == 0.1
  assert content['data']['nlgp']['xi'] == [1.5, 3.0]
  assert {'commit', 'device', 'jax', 'command'} <= content['environment'].keys()


def test_the_same_config_reopens_and_another_is_refused(tmp_path, config):
  begin(tmp_path, config)
  config.data.dir = '/elsewhere'  # where data lie may change
  with runs.Folder(tmp_path, config).open():
    pass
  config.optim.lr = 0.2
  refused(tmp_path, config, r'optim\.lr=0\.1, now 0\.2')


def test_a_folder_from_before_a_field_did_as_the_default(tmp_path, config):
  begin(tmp_path, config)
  path = tmp_path / 'config.json'
  old = json.loads(path.read_text())
  for field in ('crop', 'flip', 'normalise', 'policy', 'cutout'):
    del old['data'][field]
  path.write_text(json.dumps(old))
  with runs.Folder(tmp_path, config).open():
    pass
  config.data.normalise = False
  refused(tmp_path, config, 'normalise=True, now False')
  (tmp_path / 'checkpoints' / '1').mkdir(parents=True)
  config.train.epochs = 0
  refused(tmp_path, config, 'normalise=True, now False')


def test_what_failed_before_it_began_may_be_mended(tmp_path, config):
  folder = runs.Folder(tmp_path, config)
  with pytest.raises(ValueError, match='luck'), folder.open():
    raise ValueError('no\nluck')
  assert (tmp_path / runs.ERROR).read_text() == 'no luck\n'
  config.train.batch_size = 7
  with runs.Folder(tmp_path, config).open():
    content = runs.read_json(tmp_path / 'config.json')
  assert content['train']['batch_size'] == 7
  assert not (tmp_path / runs.ERROR).exists()


@pytest.mark.parametrize('left', ['checkpoints/20/x', 'done.json'])
def test_a_run_has_begun_even_if_its_metrics_are_lost(left, tmp_path, config):
  with runs.Folder(tmp_path, config).open():
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).write_text('{}')
    (tmp_path / 'metrics.jsonl').write_text('')
  config.optim.lr = 0.2
  refused(tmp_path, config, 'another config')


def test_a_config_with_fields_missing_is_another_one(tmp_path, config):
  begin(tmp_path, config)
  path = tmp_path / 'config.json'
  old = json.loads(path.read_text())
  path.write_text('{}')
  refused(tmp_path, config, r"data\.augment=missing, now 'fast.* and \d+ more")
  del old['optim']['lr']
  path.write_text(json.dumps(old))
  refused(tmp_path, config, r'another config \(optim\.lr=missing, now 0\.1\)')


def rows(folder, *fields):
  lines = [json.dumps({'step': i, **f}) + '\n' for i, f in enumerate(fields, 1)]
  (folder / 'metrics.jsonl').write_text(''.join(lines))


def steps(path, config):
  folder = runs.Folder(path, config)
  with folder.open():
    return folder.steps()


def test_a_run_whose_checkpoints_are_gone_does_not_start_again(
  tmp_path, config
):
  begin(tmp_path, config)
  # Killed in its first save, and before it.
  epochs = [{'epoch': e, 'seconds': 1.0} for e in (1, 50, 51)]
  rows(tmp_path, *epochs[:2])
  assert steps(tmp_path, config) == []
  rows(tmp_path, {'epoch': 1, 'seconds': 900.0})
  assert steps(tmp_path, config) == []
  remedy = r'holds no checkpoint, .* step \d, .*delete metrics\.jsonl to start'
  for late in (epochs, [{'epoch': e, 'seconds': 700.0} for e in (1, 2)]):
    rows(tmp_path, *late)
    with pytest.raises(errors.UsageError, match=remedy):
      steps(tmp_path, config)
  # Meanwhile saved more rarely than the run began.
  rows(tmp_path, *epochs)
  config.train.checkpoint_every_epochs = 60
  assert steps(tmp_path, config) == []
  config.train.checkpoint_every_epochs = 50
  (tmp_path / 'metrics.jsonl').unlink()
  assert steps(tmp_path, config) == []


@pytest.mark.parametrize('name', ['a[b', 'c]', 'd\\e', 'f[0]/g'])
def test_a_path_that_orbax_cannot_read_back_is_refused(name, tmp_path, config):
  refused(tmp_path / name, config, 'could not be read back; choose another')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('content', [None, '{"seed": 0'])
def test_a_run_without_its_config_is_not_touched(content, tmp_path, config):
  begin(tmp_path, config)
  (tmp_path / 'config.json').unlink()
  if content:
    (tmp_path / 'config.json').write_text(content)
  refused(tmp_path, config, 'missing or damaged')


def test_epochs_0_opens_a_run_of_any_length_only(tmp_path, config):
  begin(tmp_path, config)
  (tmp_path / 'checkpoints' / '1').mkdir(parents=True)
  config.train.epochs, config.train.batch_size, config.optim.lr = 0, 100, 3.0
  with runs.Folder(tmp_path, config).open():
    assert runs.read_json(tmp_path / 'config.json')['train']['epochs'] == 400
  config.model.base_channels = 8
  refused(tmp_path, config, 'base_channels=150, now 8')
  config.model.base_channels = 150
  config.train.epochs, config.train.batch_size, config.optim.lr = 7, 512, 0.1
  refused(tmp_path, config, 'epochs=400, now 7')


def test_a_second_process_is_kept_out_and_leaves_no_error(tmp_path, config):
  assert not runs.in_use(tmp_path)
  with runs.Folder(tmp_path, config).open():
    assert runs.in_use(tmp_path)
    second = runs.Folder(tmp_path, config)
    with second.failing_alone(), second.open():
      pass
    assert 'Another process is training' in str(second.error)
    assert not (tmp_path / runs.ERROR).exists()
  with runs.Folder(tmp_path, config).open():
    pass


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS])
def test_where_there_are_no_locks_a_warning_is_enough(
  number, tmp_path, config, monkeypatch
):
  def flock(file, operation):
    raise OSError(number, 'no locks')

  said = []
  monkeypatch.setattr(lock.fcntl, 'flock', flock)
  monkeypatch.setattr(lock.logging, 'warning', lambda *args: said.append(args))
  for _ in range(2):
    with runs.Folder(tmp_path, config).open():
      assert runs.in_use(tmp_path)
  ((text, *args),) = said
  assert f'{tmp_path} is on a file system without locks' in text % tuple(args)


def test_a_file_in_the_way_is_said_in_a_sentence(tmp_path, config):
  (tmp_path / 'file').write_text('')
  refused(tmp_path / 'file' / 'run', config, 'cannot be written')


def test_callbacks_hear_of_evaluations_and_of_the_end(tmp_path, config):
  heard = []
  folder = runs.Folder(tmp_path, config, [heard.append])
  with folder.open():
    folder.begin(0)
    folder.write({'step': 1, 'a': 0.5}, lambda: 'the first layer')
    assert folder.rows == runs.metrics.read(tmp_path)
  folder.tell_the_end({'step': 1})
  first, last = heard
  assert first[:3] == (tmp_path, {'step': 1, 'a': 0.5}, False)
  assert first.first_layer() == 'the first layer'
  assert last == runs.Event(tmp_path, {'step': 1}, finished=True)


def test_final_numbers_that_were_changed_are_noticed(tmp_path, config):
  row = {'epoch': 4.0, 'test/accuracy': 0.5}
  folder = runs.Folder(tmp_path, config)
  with folder.open():
    folder.finish({'best': row, 'last': row, 'image_shape': (8, 8, 1)})
  assert runs.done(tmp_path)['best'] == row
  path = tmp_path / 'done.json'
  path.write_text(path.read_text().replace('0.5', '0.7', 1))
  with pytest.raises(errors.UsageError, match='its checksum differs; delete'):
    runs.done(tmp_path)


def test_a_json_file_that_is_cut_short_counts_as_missing(tmp_path):
  path = tmp_path / 'done.json'
  runs.write_json(path, {'a': [1, 2]})
  assert runs.read_json(path) == {'a': [1, 2]}
  assert runs.done(tmp_path) is None  # it has no best epoch
  path.write_text(path.read_text()[:5])
  assert runs.done(tmp_path) is None
