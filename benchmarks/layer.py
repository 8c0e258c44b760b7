"""Layers to compute, and candidates that must compute them correctly."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from benchmarks import interleave
from lconv_jax.conv import windows

# Of the largest number; rounding of float32 is a hundredth of it.
_TOLERANCE = 1e-4


class Layout(NamedTuple):
  """Orders of a `Problem`'s axes in which a candidate has its arrays."""

  images: tuple[int, ...] = (0, 1, 2, 3)
  kernel: tuple[int, ...] = (0, 1, 2, 3, 4, 5)


class Problem(NamedTuple):
  """Arrays of a locally connected layer, in the layout of `local_conv`."""

  x: Float[np.ndarray, 'b h w cin']
  kernel: Float[np.ndarray, 'ho wo kh kw cin cout']
  dy: Float[np.ndarray, 'b ho wo cout']
  window: windows.Window
  input_gradient: bool  # False: of a net's first layer, where nothing needs it

  def arrays(self, layout: Layout) -> list[np.ndarray]:
    """Returns x, kernel and dy in a candidate's layout."""
    orders = layout.images, layout.kernel, layout.images
    arrays = zip((self.x, self.kernel, self.dy), orders, strict=True)
    return [np.ascontiguousarray(a.transpose(order)) for a, order in arrays]


class Candidate(NamedTuple):
  """A way to compute value and gradients, in a layout of its own.

  `run` returns, when they are ready, the value, the input's gradient if the
  problem asks for it, and the kernel's gradient.
  """

  run: Callable[[], Sequence[ArrayLike]]
  layout: Layout
  temporary_bytes: int | None = None  # at the peak, beside inputs and outputs


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


def in_jax(
  problem: Problem, fn: Callable[[Array, Array], Array], layout: Layout
) -> Candidate:
  """Returns a candidate in JAX.

  Args:
    problem: what it computes.
    fn: (x, kernel) -> y, all of them in `layout`.
    layout: see above.
  """

  def step(x: Array, kernel: Array, dy: Array) -> tuple[Array, ...]:
    if problem.input_gradient:
      y, vjp = jax.vjp(fn, x, kernel)
    else:
      y, vjp = jax.vjp(partial(fn, x), kernel)
    return y, *vjp(dy)

  args = jax.device_put(tuple(problem.arrays(layout)))
  program = jax.jit(step).lower(*args).compile()
  return Candidate(
    lambda: jax.block_until_ready(program(*args)),
    layout,
    program.memory_analysis().temp_size_in_bytes,
  )


def results(candidate: Candidate) -> list[np.ndarray]:
  """Runs a candidate and returns its results in a `Problem`'s layout."""
  *images, kernel = map(np.asarray, candidate.run())
  back, kernel_back = (np.argsort(order) for order in candidate.layout)
  return [*(a.transpose(back) for a in images), kernel.transpose(kernel_back)]


def check(
  name: str, candidate: Candidate, expected: Sequence[np.ndarray]
) -> None:
  """Raises WrongResultError unless a candidate computes what is expected.

  Args:
    name: the candidate's name, for the message.
    candidate: is run once.
    expected: the `results` of a candidate that is right.
  """
  got = results(candidate)
  if [g.shape for g in got] != [e.shape for e in expected]:
    raise interleave.WrongResultError(
      f'{name} returns shapes {[g.shape for g in got]} instead of '
      f'{[e.shape for e in expected]}; it is not timed.'
    )
  names = ('value', 'kernel gradient')
  if len(expected) == 3:
    names = ('value', 'input gradient', 'kernel gradient')
  for what, g, e in zip(names, got, expected, strict=True):
    error, largest = np.abs(g - e).max(), np.abs(e).max()
    if not error <= _TOLERANCE * largest:  # also where it is NaN
      raise interleave.WrongResultError(
        f'The {what} of {name} is wrong by {error:.3g}, where the largest '
        f'number is {largest:.3g}; it is not timed.'
      )
