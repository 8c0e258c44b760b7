"""What the environment says changes no result, or is named."""

import argparse

import jax
import jax.numpy as jnp
import pytest

from lconv_jax import backends, errors, train
from lconv_jax.report import command
from lconv_jax.train import run
from tests import small


class Seen(Exception):
  """Carries what a call has found."""


def found(*_):
  key = jax.random.key_impl(jax.random.key(0))
  dtype = jnp.arange(1.0).dtype.name
  mixed = (jnp.ones((2, 3)) + jnp.ones(3, jnp.bfloat16)).dtype.name
  raise Seen(str(key), dtype, mixed, jax.config.jax_threefry_partitionable)


@pytest.mark.parametrize(
  'call',
  [
    lambda folder: train.train_and_evaluate(small.config(), folder),
    lambda folder: train.train_all({'a': small.config()}, folder),
    lambda folder: command.run(argparse.ArgumentParser(), found, []),
  ],
)
def test_settings_that_change_numbers_are_pinned(call, tmp_path, monkeypatch):
  monkeypatch.setattr(run, '_resolve', found)
  with (
    jax.enable_x64(True),
    jax.numpy_rank_promotion('raise'),
    jax.numpy_dtype_promotion('strict'),
    jax.default_prng_impl('rbg'),
    jax.threefry_partitionable(False),
    pytest.raises(Seen) as e,
  ):
    call(tmp_path)
  assert e.value.args == ('threefry2x32', 'float32', 'float32', True)


@pytest.mark.parametrize(
  'error', [AssertionError(), RuntimeError('Unable to initialize\n cuda')]
)
def test_a_backend_that_is_missing_is_named(error, monkeypatch, capsys):
  def fail():
    raise error

  monkeypatch.setattr(jax, 'devices', fail)
  monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
  with pytest.raises(errors.UsageError, match=r'JAX_PLATFORMS=cuda.*unset'):
    train.train_and_evaluate(small.config(), 'nowhere')
  with pytest.raises(errors.UsageError, match=r'JAX_PLATFORMS=cuda.*unset'):
    train.train_all({}, 'nowhere')
  act = lambda args: fail()  # noqa: E731
  assert command.run(argparse.ArgumentParser(), act, []) == 2
  said = capsys.readouterr().err
  assert 'JAX_PLATFORMS=cuda' in said and said.count('\n') == 1


def test_ctrl_c_is_no_traceback(capsys):
  def wait(args):
    raise KeyboardInterrupt

  assert command.run(argparse.ArgumentParser(), wait, []) == 130
  assert capsys.readouterr().err == '\nStopped.\n'


def test_an_error_of_another_kind_is_not_hidden():
  with pytest.raises(AssertionError, match='mine'):
    command.run(argparse.ArgumentParser(), fail_by_myself, [])


def fail_by_myself(args):
  raise AssertionError('mine')


def test_a_working_backend_passes():
  backends.check_backend()
