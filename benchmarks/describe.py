"""Time to write a net in few bits and to read it, and how few bits.

  python -m benchmarks.describe --out benchmarks/results/describe.json

Nets of one large layer, with 1 % of non-zero weights at random places, in each
code of `lconv_jax.mdl`; beside them SciPy's compressed sparse matrices, which
zlib shortens. Every result is read again and compared.
"""

import io
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from benchmarks import interleave
from lconv_jax import mdl
from lconv_jax.mdl import alphabet

_SHAPES = {'6.3M': (3072, 2048), '256M': (16_000, 16_000)}
_DENSITY = 0.01
_VALUES = 16
_B = 16


class Codec(NamedTuple):
  """A way to write a kernel, and to read it."""

  write: Callable[[np.ndarray], bytes]
  read: Callable[[bytes, np.ndarray], np.ndarray]  # given one of its shape


def codecs() -> dict[str, Codec]:
  """Returns ours, and the peer."""
  ours = {
    name: Codec(
      lambda kernel, name=name: mdl.encode({'kernel': kernel}, _B, name),
      lambda data, like, name=name: mdl.decode(
        data, {'kernel': like}, _B, name
      )['kernel'],
    )
    for name in mdl.CODES
  }
  return {**ours, 'scipy npz': Codec(_save_npz, _load_npz)}


def measure(
  kernel: np.ndarray, rounds: int, **labels: Any
) -> list[interleave.Row]:
  """Times all codecs on a kernel, in turn.

  Raises:
    WrongResultError: a codec does not give the kernel back.
  """
  found = codecs()
  written = {name: codec.write(kernel) for name, codec in found.items()}
  peaks = {name: _peak(codec, kernel) for name, codec in found.items()}
  write, read = {}, {}
  for name, codec in found.items():
    write[name] = lambda c=codec: c.write(kernel)
    read[name] = lambda c=codec, data=written[name]: c.read(data, kernel)
    if not np.array_equal(read[name](), kernel):
      raise interleave.WrongResultError(
        f'{name} does not give the kernel back; nothing is timed.'
      )
  rows = []
  for what, calls in (('write', write), ('read', read)):
    rows += interleave.compare(
      calls, rounds, ['scipy npz'], labels | {'what': what}, 60.0
    )
  nonzero = int(np.count_nonzero(kernel))
  for row in rows:
    name = row['candidate']
    row['bits_per_nonzero'] = 8 * len(written[name]) / nonzero
    row['peak_bytes_of_write'] = peaks[name]
  return rows


def kernel(shape: tuple[int, int]) -> np.ndarray:
  """Returns weights with `_VALUES` values, a share `_DENSITY` not zero."""
  rng = np.random.default_rng(0)
  values = alphabet.nearest(rng.normal(size=_VALUES), _B)
  result = np.zeros(shape, np.float32)
  count = int(_DENSITY * result.size)
  at = rng.choice(result.size, count, replace=False, shuffle=False)
  result.reshape(-1)[at] = rng.choice(values, count)
  return result


def main(argv: Sequence[str] | None = None) -> None:
  """Times the codecs, prints a table and writes it."""
  parser = interleave.parser('benchmarks.describe', __doc__, rounds=5)
  parser.add_argument(
    '--sizes', nargs='+', choices=_SHAPES, default=list(_SHAPES)
  )
  args = parser.parse_args(argv)
  rows = []
  for size in args.sizes:
    rows += measure(kernel(_SHAPES[size]), args.rounds, weights=size)
  interleave.finish(args.out, rows)
  time = interleave.milliseconds('scipy npz')
  interleave.show(
    'Milliseconds (over SciPy), bits for each non-zero weight:',
    rows,
    ('weights', 'what'),
    lambda row: f'{time(row)}, {row["bits_per_nonzero"]:.2f}',
  )


def _peak(codec: Codec, kernel: np.ndarray) -> int:
  """Returns the bytes that writing allocates at most, besides the kernel."""
  tracemalloc.start()
  codec.write(kernel)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  return peak


def _save_npz(kernel: np.ndarray) -> bytes:
  file = io.BytesIO()
  scipy.sparse.save_npz(file, scipy.sparse.csr_array(kernel))
  return file.getvalue()


def _load_npz(data: bytes, like: np.ndarray) -> np.ndarray:
  return scipy.sparse.load_npz(io.BytesIO(data)).toarray()


if __name__ == '__main__':
  main()
