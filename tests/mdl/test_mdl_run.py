import csv
import importlib
import json
import math
import shutil

import jax
import numpy as np
import pytest

from lconv_jax import errors, runs, train
from lconv_jax.mdl import classifier, file, guarantee, search
from tests import small

cli = importlib.import_module('lconv_jax.mdl.__main__')


# For a search of seconds.
FEW = search.Setting((0.0, 0.3, 0.6), (2, 8, 32), (4, 16), (9, 12))


@pytest.fixture(scope='module', autouse=True)
def few_choices():
  with pytest.MonkeyPatch.context() as m:
    m.setattr(search, 'CHOICES', FEW)
    # Not all of the training images, as with real ones.
    m.setattr(guarantee, '_SEARCH', 200)
    m.setattr(guarantee, '_MEANS', 50)
    yield


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp('run')
  fields = {'model.name': 's_local', 'train.epochs': 1, 'data.normalise': False}
  train.train_and_evaluate(small.config(**fields), folder)
  return folder


@pytest.fixture(scope='module')
def found(run, few_choices):
  return guarantee.of_run(run)


def test_a_runs_net_is_the_one_that_was_evaluated(run):
  net, folded, dataset = classifier.from_run(run)
  best = json.loads((run / 'done.json').read_text())['best']
  accuracy = 1 - net.error(folded, dataset.test)
  # A logit or two may be rounded to the other side.
  assert accuracy == pytest.approx(best['test/accuracy'], abs=0.02)


def test_all_that_is_returned_is_of_the_net_in_the_file(run, found):
  net, folded, dataset = classifier.from_run(run)
  path = run / guarantee.FILE
  decoded = file.load(path, jax.eval_shape(lambda: folded))
  errors_ = [net.error(decoded, s) for s in (dataset.train, dataset.test)]
  assert errors_ == [found.bound.train_error, found.coarse_test_error]
  weights = np.concatenate([x.ravel() for x in jax.tree.leaves(decoded)])
  length = found.description.length
  assert (
    length.n == len(weights) == sum(x.size for x in jax.tree.leaves(folded))
  )
  assert length.nnz == np.count_nonzero(weights)
  assert length.k == len(np.unique(weights))
  # From the bytes of the file and nothing else.
  bits = 8 * (path.stat().st_size - 11)
  assert bits - 8 < length.bits <= bits
  m = len(dataset.train.labels)
  confidence = math.log(2 * length.n / 0.05)
  gap = math.sqrt((length.bits * math.log(2) + confidence) / (2 * m))
  assert found.bound.in_nats == pytest.approx(errors_[0] + gap, rel=1e-12)
  gap = math.sqrt((length.bits + confidence) / (2 * m))
  assert found.bound.as_stated == pytest.approx(errors_[0] + gap, rel=1e-12)
  assert found.vacuous == (found.bound.in_nats >= 0.5)


def test_the_same_run_gives_the_same_file(run, found):
  content = (run / guarantee.FILE).read_bytes()
  assert guarantee.of_run(run) == found
  assert (run / guarantee.FILE).read_bytes() == content


def test_without_tolerance_the_error_stays(run, found, tmp_path):
  shutil.copytree(run, tmp_path / 'other')
  other = guarantee.of_run(tmp_path / 'other', tolerance=0.0)
  assert other.description.length.bits >= found.description.length.bits


@pytest.mark.parametrize(
  ('ending', 'message'),
  [
    ('.partial', 'is not written: it would hold another net'),
    (guarantee.FILE, 'does not predict what its net does'),
  ],
)
@pytest.mark.usefixtures('found')
def test_a_wrong_net_in_the_file_is_noticed(run, ending, message, monkeypatch):
  load = file.load

  def other(path, skeleton):
    sign = -1 if path.name.endswith(ending) else 1
    return jax.tree.map(lambda x: sign * x, load(path, skeleton))

  monkeypatch.setattr(file, 'load', other)
  content = (run / guarantee.FILE).read_bytes()
  with pytest.raises(RuntimeError, match=message):
    guarantee.of_run(run)
  assert (run / guarantee.FILE).read_bytes() == content


def test_command_line(run, found, tmp_path, capsys):
  shutil.copytree(run, tmp_path / 'again')
  argv = [str(run), str(tmp_path / 'again'), '--delta=0.01']
  argv += [f'--out={tmp_path}', f'--csv={tmp_path / "bounds.csv"}']
  assert cli.main(argv) == 0
  out = capsys.readouterr().out.splitlines()
  assert 'predicts the same on all 150 test images' in out[0]
  assert '(again)' in out[1]
  # 640 images are few.
  for line in out[-2:]:
    assert line.startswith('Theorem 2 says nothing of S-LOCAL β-LASSO')
  for name in ('bounds.png', 'bounds.pdf', 'bounds.txt'):
    assert (tmp_path / name).stat().st_size > 200
  caption = ' '.join((tmp_path / 'bounds.txt').read_text('utf-8').split())
  assert 'probability 0.99 by itself' in caption
  assert f'Drawn by: python -m lconv_jax.mdl {run} ' in caption
  with open(tmp_path / 'bounds.csv', encoding='utf-8') as f:
    first, second = csv.DictReader(f)
  bits = found.description.by_code
  for code, count in bits.items():
    assert int(first[f'{code} (bits)']) == count
  # A smaller δ is a larger bound.
  gap = found.bound.in_nats - found.bound.train_error
  larger = gap**2 + math.log(5) / (2 * found.bound.m)
  bound = found.bound.train_error + math.sqrt(larger)
  assert float(first['in nats (%)']) == pytest.approx(100 * bound, abs=1e-3)
  assert first['data'] == 'nlgp' and first['commit']
  assert second['in nats (%)'] == first['in nats (%)']


def fails(capsys, *argv):
  assert cli.main([str(a) for a in argv]) == 2
  message = capsys.readouterr().err
  assert message.startswith('error: ')
  assert message.count('\n') == 1
  return message


def test_bad_input_is_one_sentence(run, tmp_path, capsys):
  assert 'not a run folder' in fails(capsys, tmp_path)
  assert 'delta=1.0' in fails(capsys, run, '--delta=1')
  assert 'tolerance=-0.5' in fails(capsys, run, '--tolerance=-0.5')
  begun = tmp_path / 'begun'
  begun.mkdir()
  shutil.copy(run / 'config.json', begun)
  assert 'no checkpoint' in fails(capsys, begun)
  other = tmp_path / 'other'
  shutil.copytree(run, other)
  config = json.loads((other / 'config.json').read_text())
  config['model']['base_channels'] = 2
  (other / 'config.json').write_text(json.dumps(config))
  assert 'base_channels=1, now 2' in fails(capsys, other)
  config['model']['base_channels'] = 1
  config['data']['name'] = 'cifar10'
  (other / 'config.json').write_text(json.dumps(config))
  nowhere = f'--data_dir={tmp_path / "nowhere"}'
  assert 'is not a folder' in fails(capsys, other, nowhere)


def test_a_net_that_diverged_is_refused(run, monkeypatch):
  from_run = classifier.from_run

  def with_nan(*args):
    net, folded, dataset = from_run(*args)
    folded['fc1']['kernel'][0, 0] = np.nan
    return net, folded, dataset

  monkeypatch.setattr(classifier, 'from_run', with_nan)
  with pytest.raises(errors.UsageError, match='NaN or infinite'):
    guarantee.of_run(run)


def test_the_last_line_says_no_more_than_is_known(found):
  def line(in_nats, as_stated, delta=0.05):
    bound = found.bound._replace(in_nats=in_nats, as_stated=as_stated)
    return cli._guarantee('A', found._replace(bound=bound), delta)

  bits = f'{found.description.length.bits:,} bits'
  start = f'Theorem 2, with probability 1 - 0.05: A, coarse, in {bits}, has at '
  assert line(0.25, 0.3).startswith(f'{start}most 25.0% of all images wrong')
  assert 'most 25.1% ' in line(0.25001, 0.3)  # rounded upwards
  assert 'vacuous' not in line(0.25, 0.49)
  assert '(as stated: 60.0%, which is vacuous)' in line(0.45, 0.6)
  assert line(0.5, 0.6).startswith('Theorem 2 says nothing of A')
  assert line(0.5, 0.6).endswith('guessing has 50.0%.')
  assert '1 - 1e-09' in line(0.25, 0.3, 1e-9)


@pytest.mark.parametrize(
  ('classes', 'in_nats', 'vacuous'),
  [(2, 0.49, False), (2, 0.5, True), (10, 0.6, False), (10, 0.9, True)],
)
def test_a_bound_is_vacuous_where_guessing_is_as_good(
  found, classes, in_nats, vacuous
):
  bound = found.bound._replace(in_nats=in_nats)
  assert found._replace(bound=bound, num_classes=classes).vacuous == vacuous


def test_a_damaged_config_is_one_sentence(run, tmp_path, capsys):
  shutil.copytree(run, tmp_path / 'run')
  path = tmp_path / 'run' / 'config.json'
  whole = json.loads(path.read_text())
  for section, field, value in [
    ('data', 'validation', None),
    ('data', 'nlgp', None),
    ('model', 'base_channels', 'x'),
    ('model', 'base_channels', None),
  ]:
    config = json.loads(json.dumps(whole))
    del config[section][field]
    if value:
      config[section][field] = value
    path.write_text(json.dumps(config))
    assert 'config.json is damaged' in fails(capsys, tmp_path / 'run')


def test_other_data_than_in_training_are_noticed(run, tmp_path):
  folder = shutil.copytree(run, tmp_path / 'run')
  path = folder / 'config.json'
  config = json.loads(path.read_text())
  config['data']['nlgp']['seed'] += 1
  path.write_text(json.dumps(config))
  with pytest.raises(errors.UsageError, match='began with other inputs'):
    classifier.from_run(folder)
  (folder / runs.inputs.FILE).unlink()  # the checkpoint knows it as well
  with pytest.raises(
    errors.UsageError, match=r'another run .*nlgp\.seed=0, now'
  ):
    classifier.from_run(folder)


def test_a_folder_that_cannot_be_written_keeps_what_it_has(run, tmp_path):
  path = tmp_path / 'nowhere' / 'net.lconv'
  with pytest.raises(errors.UsageError, match='cannot be written'):
    file.save(path, {'w': np.float32([1])}, 9)
  path = tmp_path / 'net.lconv'
  path.mkdir()  # in the way
  with pytest.raises(errors.UsageError, match='cannot be written'):
    file.save(path, {'w': np.float32([1])}, 9)
  assert [p.name for p in tmp_path.iterdir()] == ['net.lconv']
