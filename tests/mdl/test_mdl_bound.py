import math

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lconv_jax import errors, mdl

EXTREME = [
  # train_error, n, k, b, code_length, m, delta
  (0.0, 1, 1, 1, 0, 1, 0.5),
  (1.0, 1, 1, 1, 0, 1, 1e-300),
  (0.25, 256_000_000, 16, 12, 81_000_000.5, 45_000, 0.05),
  (0.1, 10**18, 10**6, 32, 10**15, 10**12, 1e-12),
  (0.5, 2**60, 2, 2, 0, 10**15, 1 - 1e-12),
  (0.001, 3, 3, 32, 17, 10**9, 5e-324),
  (0.0, 10**400, 7, 9, 1e9, 10**6, 0.01),
]


def reference(train_error, n, k, b, code_length, m, delta):
  with mpmath.workdps(60):
    f = mpmath.mpf
    confidence = mpmath.log(2 * f(n) / f(delta))
    bits = f(k) * b + f(code_length)
    as_stated = f(train_error) + mpmath.sqrt((bits + confidence) / (2 * f(m)))
    nats = bits * mpmath.log(2) + confidence
    return as_stated, f(train_error) + mpmath.sqrt(nats / (2 * f(m)))


def agree(value, expected):
  return abs(value - expected) <= 1e-12 * max(abs(expected), mpmath.mpf(1e-30))


@pytest.mark.parametrize('args', EXTREME)
def test_bound_is_the_formula(args):
  found = mdl.bound(*args)
  as_stated, in_nats = reference(*args)
  assert agree(found.as_stated, as_stated)
  assert agree(found.in_nats, in_nats)
  assert found.values == args[2] * args[3]
  assert (found.train_error, found.code_length) == (args[0], args[4])
  with mpmath.workdps(60):
    expected = mpmath.log(2 * mpmath.mpf(args[1]) / mpmath.mpf(args[6]))
    assert agree(found.confidence, expected)


@st.composite
def arguments(draw):
  n = draw(st.integers(1, 10**18))
  return {
    'train_error': draw(st.floats(0, 1)),
    'n': n,
    'k': draw(st.integers(1, n)),
    'b': draw(st.integers(1, 64)),
    'code_length': draw(st.floats(0, 1e20)),
    'm': draw(st.integers(1, 10**15)),
    'delta': draw(
      st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=True)
    ),
  }


@settings(max_examples=300, deadline=None)
@given(arguments())
def test_bound_on_random_arguments(args):
  found = mdl.bound(**args)
  as_stated, in_nats = reference(*args.values())
  assert agree(found.as_stated, as_stated)
  assert agree(found.in_nats, in_nats)
  # The same bits, read as nats, are a larger number of nats.
  assert found.in_nats <= found.as_stated
  assert found.in_nats >= args['train_error']


@settings(max_examples=200, deadline=None)
@given(arguments(), arguments(), st.data())
def test_bound_is_monotone_in_each_argument(args, other, data):
  name = data.draw(st.sampled_from(sorted(args)))
  low, high = sorted([args[name], other[name]])
  if name == 'n':
    low = max(low, args['k'])
    high = max(low, high)
  if name == 'k':
    high = min(high, args['n'])
    low = min(low, high)
  first = mdl.bound(**{**args, name: low})
  second = mdl.bound(**{**args, name: high})
  if name in ('m', 'delta'):
    first, second = second, first
  assert first.as_stated <= second.as_stated
  assert first.in_nats <= second.in_nats


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**18), st.data())
def test_code_length_upper_bound_is_the_formula(n, data):
  k = data.draw(st.integers(1, n))
  nnz = data.draw(st.integers(0, n))
  with mpmath.workdps(60):
    expected = nnz * mpmath.log(mpmath.mpf(k) * n, 2) + 2 * mpmath.log(n, 2)
  assert agree(mdl.code_length_upper_bound(nnz, k, n), expected)
  if nnz:
    less = mdl.code_length_upper_bound(nnz - 1, k, n)
    assert less <= mdl.code_length_upper_bound(nnz, k, n)


def test_code_length_upper_bound_by_hand():
  # 5 weights of 1024, 4 values: 5 (2 + 10) + 20.
  assert mdl.code_length_upper_bound(5, 4, 1024) == 80


@pytest.mark.parametrize(
  ('change', 'word'),
  [
    ({'m': 0}, 'examples'),
    ({'delta': 0.0}, 'probability'),
    ({'delta': 1.0}, 'probability'),
    ({'delta': math.nan}, 'probability'),
    ({'train_error': 1.5}, 'share'),
    ({'train_error': math.nan}, 'share'),
    ({'k': 11}, 'at most n'),
    ({'k': 0}, 'at most n'),
    ({'n': 0}, 'weights'),
    ({'b': 0}, 'bits'),
    ({'code_length': -1}, 'bits'),
    ({'code_length': math.inf}, 'bits'),
  ],
)
def test_an_argument_out_of_range_is_named(change, word):
  args = {
    'train_error': 0.1, 'n': 10, 'k': 3, 'b': 8, 'code_length': 50, 'm': 100,
    'delta': 0.05,
  }  # fmt: skip
  (name,) = change
  with pytest.raises(errors.UsageError, match=f'^{name}=.*{word}'):
    mdl.bound(**{**args, **change})


@pytest.mark.parametrize('args', [(11, 3, 10), (-1, 3, 10), (1, 11, 10)])
def test_impossible_counts_have_no_code(args):
  with pytest.raises(errors.UsageError, match='at most n'):
    mdl.code_length_upper_bound(*args)
