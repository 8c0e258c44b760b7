"""Theorem 2: the guarantee that follows from a short description of a net."""

import math
from typing import NamedTuple

from lconv_jax import errors


class Bound(NamedTuple):
  """Upper bound on the error rate of a net, and its terms.

  With probability 1 - δ over the choice of m examples, it holds for all nets
  at once, hence for a net that was found with these very examples.
  """

  as_stated: float  # formula (2), with the logarithms of a code in bits
  in_nats: float  # tighter, and equally valid
  train_error: float | int  # in [0, 1]
  values: int  # k b, bits
  code_length: float | int  # |d(g)|, bits
  confidence: float  # log(2n/δ), nats
  m: int


def bound(
  train_error: float | int,
  n: int,
  k: int,
  b: int,
  code_length: float | int,
  m: int,
  delta: float = 0.05,
) -> Bound:
  """Returns the bound of theorem 2 (paper, appendix B, formula 2).

  The paper states L + √((k b + |d| + ln(2n/δ)) / 2m), where |d| is the length
  of a code in bits. A description of B bits has a prior probability of 2^-B,
  which is B ln 2 nats, so that the proof gives L + √(((k b + |d|) ln 2 +
  ln(2n/δ)) / 2m) as well.

  Args:
    train_error: L, the share of the m examples that the net gets wrong.
    n: number of weights, including zeros.
    k: number of distinct values of the weights, including zero.
    b: bits of a value.
    code_length: |d|, bits of the prefix-free code that says which weight has
      which value.
    m: number of training examples.
    delta: probability that the bound does not hold.

  Raises:
    UsageError: an argument is outside its range.
  """
  for name, value, valid in (
    ('train_error', train_error, 0 <= train_error <= 1),
    ('n', n, n >= 1),
    ('k', k, 1 <= k <= n),
    ('b', b, b >= 1),
    ('code_length', code_length, 0 <= code_length < math.inf),
    ('m', m, m >= 1),
    ('delta', delta, 0 < delta < 1),
  ):
    if not valid:
      raise errors.UsageError(f'{name}={value} must be {_RANGES[name]}.')
  bits = k * b + code_length
  # 2n/δ may be too large for a float.
  confidence = math.log(2) + math.log(n) - math.log(delta)
  return Bound(
    train_error + math.sqrt((bits + confidence) / (2 * m)),
    train_error + math.sqrt((bits * math.log(2) + confidence) / (2 * m)),
    train_error,
    k * b,
    code_length,
    confidence,
    m,
  )


def code_length_upper_bound(nnz: int, k: int, n: int) -> float:
  """Returns ‖w‖₀ log₂(k n) + 2 log₂ n, the bits that some code needs.

  Args:
    nnz: number of weights other than zero.
    k: number of distinct values, including zero.
    n: number of weights.

  Raises:
    UsageError: an argument is outside its range.
  """
  for name, value, valid in (
    ('n', n, n >= 1),
    ('k', k, 1 <= k <= n),
    ('nnz', nnz, 0 <= nnz <= n),
  ):
    if not valid:
      raise errors.UsageError(f'{name}={value} must be {_RANGES[name]}.')
  return nnz * (math.log2(k) + math.log2(n)) + 2 * math.log2(n)


_RANGES = {
  'train_error': 'a share in [0, 1]',
  'n': 'a number of weights, 1 or more',
  'k': 'a number of values, at least 1 and at most n',
  'b': 'a number of bits, 1 or more',
  'nnz': 'a number of weights, at least 0 and at most n',
  'code_length': 'a finite number of bits, 0 or more',
  'm': 'a number of examples, 1 or more',
  'delta': 'a probability, greater than 0 and less than 1',
}
