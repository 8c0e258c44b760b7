"""JAX and TensorFlow, set up as this code expects them."""

import contextlib
import os
from collections.abc import Iterator

import jax

from lconv_jax import errors


@contextlib.contextmanager
def pinned() -> Iterator[None]:
  """Context, or decorator, in which the environment changes no result.

  JAX_ENABLE_X64 and JAX_NUMPY_RANK_PROMOTION, for example, would change dtypes
  or stop a run, and JAX_DEFAULT_PRNG_IMPL its random numbers.
  """
  with (
    jax.enable_x64(False),
    jax.numpy_rank_promotion('allow'),
    jax.numpy_dtype_promotion('standard'),
    jax.default_prng_impl('threefry2x32'),
    jax.threefry_partitionable(True),
  ):
    yield


def check_backend() -> None:
  """Raises a UsageError if JAX finds no device to compute on."""
  try:
    jax.devices()
  # An AssertionError without a word if a plugin is not installed.
  except (RuntimeError, AssertionError) as e:
    name, value = 'JAX_PLATFORMS', os.environ.get('JAX_PLATFORMS')
    what = f'{name}={value} names' if value else 'JAX needs'
    reason = f' ({errors.one_line(e)[:200]})' if str(e) else ''
    raise errors.UsageError(
      f'{what} a backend that does not work here{reason}; unset {name}, or '
      "install what it needs, such as pip install 'jax[cuda12]'."
    ) from e


def load_tensorflow() -> None:
  """Imports TensorFlow so that it leaves GPUs and the terminal alone.

  Whoever uses a library that imports TensorFlow calls this before.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')  # or it says so
  import tensorflow as tf

  # It would take all memory of the GPUs that JAX trains on.
  tf.config.set_visible_devices([], 'GPU')
