"""Describes the device, and measures the peaks that it reaches."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks import interleave

_SECONDS = 0.5  # of a timed call


def describe() -> dict[str, Any]:
  """Returns the environment, and the platform that JAX chooses."""
  return interleave.environment() | {'platform': jax.default_backend()}


def peaks(size: int) -> dict[str, float]:
  """Measures rates that no step can exceed.

  Args:
    size: rows of the square matrices; the copied array has 8 times their bytes.

  Returns:
    `tflops`, 10¹² operations per second of a bfloat16 product that accumulates
    in float32; `bandwidth`, TB/s read and written by a copy of float32.
  """
  key = jax.random.key(0)
  a = (jax.random.normal(key, (size, size)) / size**0.5).astype(jnp.bfloat16)
  x = jnp.ones(4 * size**2, jnp.float32)

  def product(_: int, y: jax.Array) -> jax.Array:
    return jnp.matmul(y, a, preferred_element_type=jnp.float32).astype(a.dtype)

  def copy(_: int, y: jax.Array) -> jax.Array:
    return -y

  return {
    'tflops': 2 * size**3 / _seconds(product, a) / 1e12,
    'bandwidth': 2 * x.nbytes / _seconds(copy, x) / 1e12,
  }


def _seconds(
  body: Callable[[int, jax.Array], jax.Array], x: jax.Array
) -> float:
  """Returns the time of an iteration, in a loop of unknown length."""

  @functools.partial(jax.jit, donate_argnums=1)
  def loop(count: int, x: jax.Array) -> jax.Array:
    return lax.fori_loop(0, count, body, x)

  count = 1
  x = jax.block_until_ready(loop(count, x + 0))  # compiles
  while True:
    start = time.perf_counter()
    x = jax.block_until_ready(loop(count, x))
    elapsed = time.perf_counter() - start
    if elapsed >= _SECONDS:
      return elapsed / count
    count *= 2


def line(row: dict[str, Any]) -> str:
  """Returns the peaks in words."""
  return f'{row["tflops"]:.3g} TFLOP/s in bfloat16, {row["bandwidth"]:.3g} TB/s'
