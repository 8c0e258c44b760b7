import json

import pytest

from configs import base
from lconv_jax import errors
from lconv_jax.runs import folder as run


@pytest.fixture
def config():
  return base.base()


def test_a_new_folder_gets_config_and_environment(tmp_path, config):
  with run.open_folder(tmp_path / 'a' / 'b', config) as folder:
    content = json.loads((folder / 'config.json').read_text())
  assert content['optim']['lr'] == 0.1
  assert content['data']['nlgp']['xi'] == [1.5, 3.0]
  assert {'commit', 'device', 'jax', 'command'} <= content['environment'].keys()


def begin(folder, config):
  """Opens a folder for the first time and leaves a row of metrics."""
  with run.open_folder(folder, config):
    (folder / 'metrics.jsonl').write_text('{"step": 1}\n')


def test_the_same_config_reopens_and_another_is_refused(tmp_path, config):
  begin(tmp_path, config)
  with run.open_folder(tmp_path, config):
    pass
  config.optim.lr = 0.2
  with pytest.raises(errors.UsageError, match=r'optim\.lr=0\.1, now 0\.2'):
    with run.open_folder(tmp_path, config):
      pass


def test_a_folder_from_before_a_field_did_as_the_default(tmp_path, config):
  with run.open_folder(tmp_path, config) as folder:
    (folder / 'done.json').write_text('{}')
  path = tmp_path / 'config.json'
  old = json.loads(path.read_text())
  for field in ('crop', 'flip', 'normalise', 'policy', 'cutout'):
    del old['data'][field]
  path.write_text(json.dumps(old))
  with run.open_folder(tmp_path, config):
    pass
  config.data.normalise = False
  for epochs in (config.train.epochs, 0):
    config.train.epochs = epochs
    with (
      pytest.raises(errors.UsageError, match='normalise=True, now False'),
      run.open_folder(tmp_path, config),
    ):
      pass


def test_what_failed_before_it_began_may_be_mended(tmp_path, config):
  with run.open_folder(tmp_path, config):
    pass
  config.train.batch_size = 7
  with run.open_folder(tmp_path, config) as folder:
    content = run.read_json(folder / 'config.json')
  assert content['train']['batch_size'] == 7


@pytest.mark.parametrize('left', ['checkpoints/20/x', 'done.json'])
def test_a_run_has_begun_even_if_its_metrics_are_lost(left, tmp_path, config):
  with run.open_folder(tmp_path, config):
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).write_text('{}')
    (tmp_path / 'metrics.jsonl').write_text('')
  config.optim.lr = 0.2
  with pytest.raises(errors.UsageError, match='another config'):
    with run.open_folder(tmp_path, config):
      pass


@pytest.mark.parametrize('content', [None, '{"seed": 0'])
def test_a_run_without_its_config_is_not_touched(content, tmp_path, config):
  begin(tmp_path, config)
  (tmp_path / 'config.json').unlink()
  if content:
    (tmp_path / 'config.json').write_text(content)
  with pytest.raises(errors.UsageError, match='missing or damaged'):
    with run.open_folder(tmp_path, config):
      pass


def test_where_data_lie_may_change(tmp_path, config):
  begin(tmp_path, config)
  config.data.dir = '/elsewhere'
  with run.open_folder(tmp_path, config):
    pass


def test_epochs_0_opens_a_run_of_any_length_only(tmp_path, config):
  begin(tmp_path, config)
  config.train.epochs, config.train.batch_size, config.optim.lr = 0, 100, 3.0
  with run.open_folder(tmp_path, config) as folder:
    assert run.read_json(folder / 'config.json')['train']['epochs'] == 400
  config.model.base_channels = 8
  with pytest.raises(errors.UsageError, match='base_channels=150, now 8'):
    with run.open_folder(tmp_path, config):
      pass
  config.model.base_channels = 150
  config.train.epochs, config.train.batch_size, config.optim.lr = 7, 512, 0.1
  with pytest.raises(errors.UsageError, match='epochs=400, now 7'):
    with run.open_folder(tmp_path, config):
      pass


def test_a_second_process_is_kept_out(tmp_path, config):
  with run.open_folder(tmp_path, config):
    with pytest.raises(errors.UsageError, match='Another process'):
      with run.open_folder(tmp_path, config):
        pass
  with run.open_folder(tmp_path, config):
    pass


def test_a_file_in_the_way_is_said_in_a_sentence(tmp_path, config):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.UsageError, match='cannot be written'):
    with run.open_folder(tmp_path / 'file' / 'run', config):
      pass


def test_a_json_file_that_is_cut_short_counts_as_missing(tmp_path):
  path = tmp_path / 'done.json'
  run.write_json(path, {'a': [1, 2]})
  assert run.read_json(path) == {'a': [1, 2]}
  assert run.done(tmp_path) is None  # it has no best epoch
  path.write_text(path.read_text()[:5])
  assert run.done(tmp_path) is None
