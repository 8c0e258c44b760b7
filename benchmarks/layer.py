"""A layer to be computed, a candidate that does, and whether it is right."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lconv_jax.conv import windows

# Of the largest number: float32's rounding is a hundredth of it.
_TOLERANCE = 1e-4


class Problem(NamedTuple):
  """A locally connected layer's arrays, in the layout of `local_conv`."""

  x: Float[np.ndarray, 'b h w cin']
  kernel: Float[np.ndarray, 'ho wo kh kw cin cout']
  dy: Float[np.ndarray, 'b ho wo cout']
  window: windows.Window
  input_gradient: bool  # whether anybody needs it: not of a net's first layer


class Candidate(NamedTuple):
  """A way to compute value and gradients, in a layout of its own.

  `run` returns, when they are ready, the value, the input's gradient if the
  problem asks for it, and the kernel's gradient.
  """

  run: Callable[[], Sequence[ArrayLike]]
  # How its images and kernels become a `Problem`'s.
  images: Callable[[np.ndarray], np.ndarray]
  kernels: Callable[[np.ndarray], np.ndarray]
  temporary_bytes: int | None = None  # at the peak, beside inputs and outputs


class WrongResultError(Exception):
  """A candidate computes something else; its time would mean nothing."""


def problem(
  shape: Sequence[int],
  filters: int,
  window: windows.Window,
  input_gradient: bool = True,
) -> Problem:
  """Returns random arrays for images of shape [B, H, W, Cin]."""
  rng = np.random.default_rng(0)
  kernel = (*window.positions, *window.size, shape[-1], filters)
  dy = (shape[0], *window.positions, filters)
  arrays = (rng.standard_normal(s, np.float32) for s in (shape, kernel, dy))
  return Problem(*arrays, window, input_gradient)


def compiled(
  fn: Callable[[Array, Array], Array],
  x: ArrayLike,
  kernel: ArrayLike,
  dy: ArrayLike,
  input_gradient: bool,
) -> dict[str, Any]:
  """Returns `run` and `temporary_bytes` of a candidate in JAX.

  Args:
    fn: (x, kernel) -> y.
    x: in whatever layout `fn` takes, as is the kernel.
    kernel: see x.
    dy: in the layout of fn's result.
    input_gradient: see `Problem`.
  """

  def step(x: Array, kernel: Array, dy: Array) -> tuple[Array, ...]:
    if input_gradient:
      y, vjp = jax.vjp(fn, x, kernel)
    else:
      y, vjp = jax.vjp(partial(fn, x), kernel)
    return y, *vjp(dy)

  args = jax.device_put((x, kernel, dy))
  program = jax.jit(step).lower(*args).compile()
  return {
    'run': lambda: jax.block_until_ready(program(*args)),
    'temporary_bytes': program.memory_analysis().temp_size_in_bytes,
  }


def results(candidate: Candidate) -> list[np.ndarray]:
  """Runs a candidate and returns its results in a `Problem`'s layout."""
  *images, kernel = map(np.asarray, candidate.run())
  return [*map(candidate.images, images), candidate.kernels(kernel)]


def check(
  name: str, candidate: Candidate, expected: Sequence[np.ndarray]
) -> None:
  """Raises WrongResultError unless a candidate computes what is expected.

  Args:
    name: of the candidate, for the message.
    candidate: runs once.
    expected: what `results` returns of a right one.
  """
  got = results(candidate)
  if [g.shape for g in got] != [e.shape for e in expected]:
    raise WrongResultError(
      f'{name} returns shapes {[g.shape for g in got]} instead of '
      f'{[e.shape for e in expected]}; it is not measured.'
    )
  names = ('value', 'kernel gradient')
  if len(expected) == 3:
    names = ('value', 'input gradient', 'kernel gradient')
  for what, g, e in zip(names, got, expected, strict=True):
    error, largest = np.abs(g - e).max(), np.abs(e).max()
    if not error <= _TOLERANCE * largest:  # nor where it is NaN
      raise WrongResultError(
        f'The {what} of {name} is wrong by {error:.3g}, where the largest '
        f'number is {largest:.3g}; it is not measured.'
      )
