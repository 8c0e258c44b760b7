import fractions
import itertools
import math
import pathlib

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lconv_jax import errors, mdl
from lconv_jax.mdl import alphabet, bits, file

CODES = list(mdl.CODES)


def random_net(rng, shapes, values, density, b):
  table = alphabet.nearest(rng.normal(size=values) * 3, b)

  def leaf(shape):
    chosen = rng.choice(table, shape) if values else np.zeros(shape)
    return np.where(rng.random(shape) < density, chosen, 0).astype(np.float32)

  return {f'layer{i}': {'kernel': leaf(s)} for i, s in enumerate(shapes)}


def same(a, b):
  trees = jax.tree.leaves(a), jax.tree.leaves(b)
  return all(
    x.dtype == y.dtype and np.array_equal(x, y) and x.shape == y.shape
    for x, y in zip(*trees, strict=True)
  )


@st.composite
def nets(draw):
  shapes = draw(
    st.lists(
      st.lists(st.integers(0, 7), max_size=4).map(tuple), min_size=1, max_size=4
    ).filter(lambda shapes: sum(map(math.prod, shapes)))
  )
  b = draw(st.sampled_from([2, 3, 5, 8, 9, 10, 16, 25, 32]))
  rng = np.random.default_rng(draw(st.integers(0, 2**32)))
  density = draw(st.sampled_from([0, 0.01, 0.2, 0.9, 1]))
  return random_net(rng, shapes, draw(st.integers(0, 9)), density, b), b


def digits(data, count):
  """The first bits of a code, as text."""
  return ''.join(f'{byte:08b}' for byte in data)[:count]


def proof_reference(net, b, check):
  """The proof's code, spelled out."""
  flat = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(net)])
  n, values = len(flat), sorted(set(flat.tolist()))
  nonzero = [v for v in values if v]
  index = math.ceil(math.log2(n))
  symbol = math.ceil(math.log2(len(nonzero))) if nonzero else 0

  def binary(number, width):
    return f'{number:0{width}b}' if width else ''

  words = [
    int(np.float32(v).view(np.uint32)) >> (32 - b) for v in values
  ]  # b >= 9
  text = binary(len(values) - 1, index)
  text += ''.join(binary(w, b) for w in words)
  text += check
  if 0.0 in values:
    text += binary(np.count_nonzero(flat), index)
  for i in np.flatnonzero(flat):
    text += binary(i, index) + binary(nonzero.index(flat[i]), symbol)
  return text


@pytest.mark.parametrize('density', [0.0, 0.1, 1.0])
@pytest.mark.parametrize('shapes', [[(1,)], [(2,)], [(13, 7), (7,), (3, 1, 2)]])
def test_the_proofs_code_is_the_proofs(shapes, density):
  net = random_net(np.random.default_rng(0), shapes, 5, density, 12)
  length = mdl.description_length(net, 12)
  found = digits(mdl.encode(net, 12), length.bits)
  index = math.ceil(math.log2(length.n))
  first = index + length.values
  check = found[first : first + index]
  assert found == proof_reference(net, 12, check)


@settings(max_examples=150, deadline=None)
@given(nets(), st.sampled_from(CODES))
def test_decoding_gives_the_net_back(net_and_b, code):
  net, b = net_and_b
  data = mdl.encode(net, b, code)
  length = mdl.description_length(net, b, code)
  assert len(data) == -(-length.bits // 8)
  assert same(mdl.decode(data, net, b, code), net)
  shapes = jax.eval_shape(lambda: net)
  assert same(mdl.decode(data, shapes, b, code), net)


@settings(max_examples=100, deadline=None)
@given(nets())
def test_the_proofs_code_is_no_longer_than_the_theorem_says(net_and_b):
  net, b = net_and_b
  flat = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(net)])
  n, nnz, k = len(flat), int(np.count_nonzero(flat)), len(np.unique(flat))
  up = lambda x: math.ceil(math.log2(x))  # noqa: E731
  # k, its values; ‖w‖₀ and k again; index and value of each weight.
  whole = up(n) + k * b + 2 * up(n) + nnz * (up(n) + up(k))
  length = mdl.description_length(net, b)
  assert (length.n, length.nnz, length.k) == (n, nnz, k)
  assert length.bits <= whole
  # Rounding up is all that may be added to what is not rounded.
  exact = mdl.code_length_upper_bound(nnz, k, n) + k * b + math.log2(n)
  assert length.bits <= exact + 3 + 2 * nnz


@pytest.mark.parametrize('code', CODES)
def test_codes_in_a_row_are_told_apart(code):
  rng = np.random.default_rng(1)
  some = [
    random_net(rng, [(5, 9), (4,)], rng.integers(0, 6), rng.random(), 16)
    for _ in range(20)
  ]
  rest = b''.join(mdl.encode(net, 16, code) for net in some)
  for net in some:
    found, rest = mdl.decode_first(rest, net, 16, code)
    assert same(found, net)
  assert rest == b''


@pytest.mark.parametrize('code', CODES)
def test_no_code_begins_another(code):
  rng = np.random.default_rng(2)
  texts = {}
  # Small ones, so that many share their first fields.
  for _ in range(400):
    net = random_net(rng, [(2, 3)], rng.integers(0, 3), rng.random(), 2)
    length = mdl.description_length(net, 2, code).bits
    text = digits(mdl.encode(net, 2, code), length)
    weights = jax.tree.leaves(net)[0].tobytes()
    assert texts.setdefault(text, weights) == weights
  assert len(texts) > 50
  ordered = sorted(texts)
  assert not any(b.startswith(a) for a, b in itertools.pairwise(ordered))


def test_entropy_goes_through_an_array_in_the_order_that_is_shorter():
  rng = np.random.default_rng(3)
  kernel = random_net(rng, [(60, 40)], 6, 0.9, 16)['layer0']['kernel']
  kernel[:, rng.random(40) < 0.7] = 0  # whole units without weights
  by_unit, transposed, flat = (
    mdl.description_length({'k': np.ascontiguousarray(x)}, 16, 'entropy').bits
    for x in (kernel, kernel.T, kernel.ravel())  # the last has one order
  )
  assert by_unit == transposed < 0.95 * flat


def test_codes_come_close_to_the_entropy():
  rng = np.random.default_rng(4)
  net = random_net(rng, [(1000, 500)], 12, 0.02, 16)
  n, nnz = 500_000, np.count_nonzero(jax.tree.leaves(net)[0])
  p = nnz / n
  positions = -n * (p * math.log2(p) + (1 - p) * math.log2(1 - p))
  ideal = positions + nnz * math.log2(12)
  bits = {c: mdl.description_length(net, 16, c).bits for c in CODES}
  assert ideal < bits['entropy'] < 1.01 * ideal
  assert bits['proof'] > 1.9 * ideal


def test_entropy_pays_less_for_weights_that_stand_together():
  rng = np.random.default_rng(5)
  local = np.zeros((32, 32, 100), np.float32)
  for unit in range(100):
    y, x = rng.integers(0, 28, 2)
    local[y : y + 4, x : x + 4, unit] = rng.choice([-1, 1], (4, 4))
  shuffled = rng.permutation(local.ravel()).reshape(local.shape)
  a, b = (
    mdl.description_length({'k': x.reshape(1024, 100)}, 9, 'entropy').bits
    for x in (local, shuffled)
  )
  assert a < 0.55 * b


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 2**62))))
def test_bits_are_read_as_they_were_written(fields):
  writer, counter = bits.Writer(), bits.Counter()
  for to in (writer, counter):
    for width, value in fields:
      value &= (1 << width) - 1
      to.number(value, width)
      to.numbers(np.array([value, value]), width)
      to.gamma(value)
  assert writer.bits == counter.bits
  reader = bits.Reader(writer.to_bytes())
  for width, value in fields:
    value &= (1 << width) - 1
    assert reader.number(width) == value
    assert reader.numbers(2, width).tolist() == [value, value]
    assert reader.gamma() == value
  reader.finish_byte()
  assert reader.position == 8 * len(writer.to_bytes())
  assert reader.rest() == b''


@pytest.mark.parametrize('b', alphabet.WIDTHS)
def test_alphabets_have_their_size_and_nearest_is_nearest(b):
  if b <= 16:
    words = np.arange(1 << b, dtype=np.uint32)
    words = words[words != 1 << (b - 1)]  # minus zero
    if b >= 9:  # infinities and NaN
      words = words[(words >> max(0, b - 9)) & 0xFF != 0xFF]
    values = alphabet.from_words(words, b)
    assert len(np.unique(values)) == len(words)
    assert 0 in values
    assert np.array_equal(alphabet.to_words(values, b), words)
    rng = np.random.default_rng(b)
    x = (rng.normal(size=300) * 2.0 ** rng.integers(-9, 3, 300)).astype('f4')
    x = np.append(x, np.float32([0, 1e30, -1e30, 1e-30]))
    if b <= 10:
      exact = [fractions.Fraction(float(v)) for v in values]
      for given_, found in zip(x, alphabet.nearest(x, b), strict=True):
        given_ = fractions.Fraction(float(given_))
        least = min(abs(v - given_) for v in exact)
        assert abs(fractions.Fraction(float(found)) - given_) == least
  x = np.random.default_rng(b).normal(size=100).astype('f4')
  rounded = alphabet.nearest(x, b)
  assert np.array_equal(
    alphabet.from_words(alphabet.to_words(rounded, b), b), rounded
  )
  if b == 32:
    assert np.array_equal(rounded, x)


def test_16_bits_are_bfloat16():
  x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
  expected = x.astype(ml_dtypes.bfloat16).astype(np.float32)
  ties = (x.view(np.uint32) & 0xFFFF) == 0x8000
  assert np.array_equal(alphabet.nearest(x, 16)[~ties], expected[~ties])


@pytest.mark.parametrize('dtype', [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_dtypes_come_back_as_they_were(dtype):
  net = {'w': np.array([[0, 1.5], [-0.25, 0]], dtype)}
  assert same(mdl.decode(mdl.encode(net, 16), net, 16), net)


def raises(match):
  return pytest.raises(errors.UsageError, match=match)


@pytest.mark.parametrize('code', CODES)
@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(code, bad):
  with raises('NaN or infinite'):
    mdl.encode({'w': np.float32([0, 1, bad])}, 32, code)


def test_what_cannot_be_described_is_refused():
  with raises('not a number of 10 bits'):
    mdl.encode({'w': np.float32([0.1])}, 10)
  with raises('not a float32'):
    mdl.encode({'w': np.float64([0.1])}, 32)
  with raises('b=33'):
    mdl.encode({'w': np.float32([1])}, 33)
  for nothing in ({}, {'w': np.zeros((0, 3), np.float32)}):
    with raises('no weight'):
      mdl.encode(nothing, 16)
  with raises('float16 cannot hold'):
    data = mdl.encode({'w': np.float32([1e9])}, 32)
    mdl.decode(data, {'w': np.zeros(1, np.float16)}, 32)


def of_thousands(seed=0):
  rng = np.random.default_rng(seed)
  return random_net(rng, [(200, 300), (300,)], 7, 0.03, 12)


@pytest.mark.parametrize('code', CODES)
def test_a_code_of_another_architecture_is_refused(code):
  net = of_thousands()
  data = mdl.encode(net, 12, code)
  kernel, bias = (leaf['kernel'] for leaf in net.values())
  others = [
    {'layer0': {'kernel': kernel.T}, 'layer1': {'kernel': bias}},
    {'layer0': {'kernel': kernel}, 'layer2': {'kernel': bias}},
    {'layer0': {'kernel': kernel}},
    {'layer0': {'kernel': kernel}, 'layer1': {'kernel': bias[:-1]}},
    {'layer0': {'kernel': kernel}, 'layer1': {'kernel': np.zeros(5000, 'f4')}},
  ]
  for other in others:
    with raises('.'):
      mdl.decode(data, other, 12, code)
  with raises('.'):
    mdl.decode(data, net, 13, code)


@pytest.mark.parametrize('code', CODES)
def test_damage_is_noticed(code):
  net = of_thousands()
  data = mdl.encode(net, 12, code)
  with raises('bytes that are not part'):
    mdl.decode(data + b'\0', net, 12, code)
  rng = np.random.default_rng(0)
  for cut in (0, 1, 10, len(data) // 2, len(data) - 1):
    with raises('cut short|damaged'):
      mdl.decode(data[:cut], net, 12, code)
  for _ in range(200):
    damaged = bytearray(data)
    for i in rng.integers(0, len(data), rng.integers(1, 4)):
      damaged[i] ^= 1 << rng.integers(8)
    if damaged == data:
      continue
    with raises('.'):
      mdl.decode(bytes(damaged), net, 12, code)
  for _ in range(200):
    noise = rng.bytes(rng.integers(1, 2000))
    with raises('.'):
      mdl.decode(noise, net, 12, code)


def test_a_file_says_all_that_decoding_needs(tmp_path):
  net = of_thousands()
  path = tmp_path / 'net.lconv'
  found = file.save(path, net, 12)
  assert same(file.load(path, net), net)
  assert found.length.bits == found.by_code[found.code]
  assert found.length.bits == min(found.by_code.values())
  # Magic number, version and checksum are no part of the description.
  assert path.stat().st_size == 11 + -(-found.length.bits // 8)
  for code in CODES:  # the choices of b and of the code are paid for
    plain = mdl.description_length(net, 12, code)
    assert found.by_code[code] == plain.bits + 5 + 2
  assert found.length.values == plain.values
  few = {'w': np.float32([1])}
  assert file.save(path, few, 9).code == 'proof'
  assert same(file.load(path, few), few)


def test_files_that_are_no_net(tmp_path):
  net, path = of_thousands(), tmp_path / 'net.lconv'
  with raises('cannot be read'):
    file.load(path, net)
  file.save(path, net, 12)
  data = path.read_bytes()
  for content, word in [
    (b'', 'not a net.lconv file'),
    (b'\x89PNG' * 10, 'not a net.lconv file'),
    (data[:-1], 'damaged or cut short'),
    (data[:20], 'damaged or cut short'),
    (data[:6] + b'\x09' + data[7:], 'version 9'),
    (data[:50] + bytes([data[50] ^ 4]) + data[51:], 'damaged'),
  ]:
    path.write_bytes(content)
    with raises(word):
      file.load(path, net)
  path.write_bytes(data)
  with raises('another architecture'):
    file.load(path, {'w': np.zeros((3, 3), np.float32)})
  assert same(file.load(path, net), net)


SAMPLES = pathlib.Path(__file__).parent / 'samples'


def sample():
  """The net in the files of `SAMPLES`, written before Golomb's code went."""
  i, j = np.indices((40, 30))
  values = np.float32([-1.5, -0.25, 0.5, 1.0])[i * j % 4]
  kernel = np.where((7 * i + 3 * j) % 11 == 0, values, np.float32(0))
  fc1 = {'kernel': np.zeros((30, 2), np.float32)}
  fc1['bias'] = np.float32([0.5, -0.25])
  return {'conv1': {'kernel': kernel}, 'fc1': fc1}


@pytest.mark.parametrize('code', CODES)
def test_old_files_are_read_and_new_ones_are_the_same(code, tmp_path):
  net, old = sample(), SAMPLES / f'{code}.lconv'
  assert same(file.load(old, net), net)
  assert old.read_bytes()[11:] == file.encoded(net, 12, code)


def test_a_file_in_golombs_code_is_refused_by_name():
  with raises(
    r'golomb\.lconv is written in the code golomb, which .* not read'
  ):
    file.load(SAMPLES / 'golomb.lconv', sample())
