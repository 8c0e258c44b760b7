import json

import pytest
from flax import traverse_util

from configs import base
from lconv_jax import errors, runs
from lconv_jax.runs import checksums
from tests import fake_runs


def flat(config):
  return traverse_util.flatten_dict(config.to_dict(), sep='.')


def change(path, **fields):
  """Sets fields of a run's config, with __ for dots; `...` removes them."""
  content = json.loads((path / 'config.json').read_text())
  for field, value in fields.items():
    *sections, name = field.split('__')
    section = content
    for key in sections:
      section = section[key]
    if value is ...:
      del section[name]
    else:
      section[name] = value
  (path / 'config.json').write_text(json.dumps(content))


def test_a_run_is_read_whole(tmp_path):
  path = fake_runs.write(tmp_path / 'a', 0.5, optim__lr=0.25, measured=3)
  run = runs.read(str(path))
  assert run.path == path
  assert run.config.optim.lr == 0.25
  assert 'environment' not in run.config
  assert run.environment == {'commit': 'c0ffee', 'command': 'python main.py a'}
  assert [row['epoch'] for row in run.metrics] == [1, 2, 3]
  assert run.done['best'] == run.best == run.metrics[-1]


def test_what_a_run_does_not_have_yet_is_left_empty(tmp_path):
  path = fake_runs.write(tmp_path / 'a', finished=False, measured=0)
  run = runs.read(path)
  assert (run.done, run.metrics, run.best) == (None, [], {})
  assert run.environment['commit'] == 'c0ffee'


def test_the_environment_is_that_of_the_end(tmp_path):
  path = fake_runs.write(tmp_path / 'a')
  change(path, environment={'commit': 'began'})
  assert runs.read(path).environment['commit'] == 'c0ffee'
  done = json.loads((path / 'done.json').read_text())
  del done['environment']
  (path / 'done.json').write_text(json.dumps(done))
  assert runs.read(path).environment['commit'] == 'began'


def test_checksums_are_not_among_the_final_numbers(tmp_path):
  path = fake_runs.write(tmp_path / 'a')
  want = runs.done(path)
  content = {**want, 'metrics_checksum': '12345678'}
  content['checksum'] = checksums.of_json(content)
  (path / 'done.json').write_text(json.dumps(content))
  assert runs.done(path) == want


def test_final_numbers_that_cannot_be_read_are_one_sentence(tmp_path):
  path = fake_runs.write(tmp_path / 'a')
  (path / 'done.json').unlink()
  (path / 'done.json').mkdir()
  with pytest.raises(errors.UsageError, match=r'done\.json cannot be read'):
    runs.done(path)


# The fields of the first runs; then, in the order in which they came, younger
# ones, with what runs had done before.
OLDEST = (
  'seed precision model.name model.base_channels model.dropout data.name '
  'data.dir data.validation data.limit data.augment data.nlgp.xi '
  'data.nlgp.gain data.nlgp.channels data.nlgp.train data.nlgp.test '
  'data.nlgp.seed optim.name optim.lr optim.momentum optim.weight_decay '
  'optim.beta optim.l1_conv optim.l1_fc train.epochs train.batch_size '
  'train.eval_every_epochs train.checkpoint_every_epochs'
).split()
YOUNGER = (
  {
    'model.kernel_size': 0,
    'model.local_norm': 'channel',
    'train.init_from': '',
  },
  {
    'data.policy': '',
    'data.crop': 4,
    'data.flip': True,
    'data.cutout': -1,
    'data.normalise': True,
  },
  {'train.sync_batch_norm': True, 'train.profile': 0},
  {'train.log_locality': False},
  {'data.permute': -1, 'data.layout': '', 'data.leak_geometry': False},
  {'data.nlgp.length': 0},
)


@pytest.mark.parametrize('age', range(len(YOUNGER) + 1))
def test_a_run_of_any_age_is_completed(age, tmp_path):
  path = fake_runs.write(tmp_path / 'old', data__augment='flip_crop')
  lacks = dict(field for fields in YOUNGER[age:] for field in fields.items())
  change(path, **{field.replace('.', '__'): ... for field in lacks})
  got = flat(runs.read(path).config)
  assert got.keys() == flat(base.base()).keys()
  assert {field: got[field] for field in lacks} == lacks


def test_every_field_has_its_age():
  younger = {field for fields in YOUNGER for field in fields}
  assert {*OLDEST, *younger} == flat(base.base()).keys()


@pytest.mark.parametrize('field', OLDEST)
def test_a_field_that_all_runs_have_is_missed(field, tmp_path):
  path = fake_runs.write(tmp_path / 'a')
  change(path, **{field.replace('.', '__'): ...})
  with pytest.raises(errors.UsageError, match=f'damaged: {field} is missing'):
    runs.read(path)


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('data__nlgp', ..., 'data.nlgp.channels is missing'),
    ('model', 3, 'model.name is missing'),
    ('model__base_channels', 'x', "model.base_channels is 'x'"),
    ('optim__lr', None, 'optim.lr is None'),
    ('data__crop', 'wide', "data.crop is 'wide'"),
  ],
)
def test_a_damaged_config_is_one_sentence(field, value, words, tmp_path):
  path = fake_runs.write(tmp_path / 'a')
  change(path, **{field: value})
  with pytest.raises(errors.UsageError) as e:
    runs.read(path)
  assert str(e.value) == (
    f'{path}/config.json is damaged: {words}; put back the one that the run '
    'wrote.'
  )


@pytest.mark.parametrize('content', ['{"seed": ', '[1, 2]', ''])
def test_a_config_that_is_not_json_is_damaged(content, tmp_path):
  (tmp_path / 'config.json').write_text(content)
  with pytest.raises(errors.UsageError, match='is damaged: it is not JSON'):
    runs.read(tmp_path)


def test_another_folder_is_not_a_run_folder(tmp_path):
  (tmp_path / 'file').write_text('{}')
  for path in (tmp_path, tmp_path / 'nowhere', tmp_path / 'file'):
    with pytest.raises(errors.UsageError, match='is not a run folder: it has'):
      runs.read(path)
