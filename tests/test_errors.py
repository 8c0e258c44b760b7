"""Messages, and what they say of files."""

import os
import pathlib

import pytest

from launch import options, roots
from lconv_jax import errors, runs, train
from lconv_jax.data import prepared
from lconv_jax.report import find
from tests import small

BUCKET = 'gs://bucket/run'


def parsed(root):
  parser = options.parser('launch.local', 'Trains.')
  return parser.parse_args(['sgd', f'--root={root}'])


def checked(**fields):
  train.check.check(small.config(**fields))


@pytest.mark.parametrize('url', [BUCKET, 's3://b', pathlib.Path(BUCKET)])
@pytest.mark.parametrize(
  'use',
  [
    lambda url: errors.local_path('x', url),
    lambda url: runs.Folder(url, small.config()),
    lambda url: train.train_and_evaluate(small.config(), url),
    lambda url: train.train_all({'a': small.config()}, url),
    lambda url: checked(**{'data.dir': str(url)}),
    lambda url: checked(**{'train.init_from': str(url)}),
    lambda url: prepared.locate('cifar10', str(url)),
    lambda url: runs.read(url),
    lambda url: find.find([url]),
    lambda url: roots.read(url),
  ],
)
def test_addresses_are_refused_at_once(use, url, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(errors.UsageError, match=r'is an address.*mount it'):
    use(url)
  assert not os.listdir(tmp_path)


def test_an_address_as_root_or_in_the_environment_is_refused(
  monkeypatch, capsys
):
  with pytest.raises(SystemExit):
    parsed(BUCKET)
  assert 'is an address' in capsys.readouterr().err
  monkeypatch.setenv('TFDS_DATA_DIR', BUCKET)
  with pytest.raises(errors.UsageError, match='TFDS_DATA_DIR=gs://'):
    prepared.locate('cifar10', '')


@pytest.mark.parametrize('path', ['a:b/c', '/x://y', 'C:/x', '~/x', 'a b/c'])
def test_other_paths_are_paths(path):
  assert errors.local_path('x', path) == pathlib.Path(path).expanduser()


def test_a_message_is_a_line_that_a_terminal_does_not_obey():
  error = ValueError('a\n  b\x1b[2J\u202e β')
  assert errors.one_line(error) == r'a b\x1b[2J\u202e β'
