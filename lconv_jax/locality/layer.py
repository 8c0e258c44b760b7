"""All measures of a layer's filters, and a summary."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from lconv_jax.locality import blocks, compare, measures, null, sharing

# Figures 7-9 draw from the filters with at least this many non-zero values.
MIN_NONZERO = 20
# Of signals, this many count: a window of theirs is one row of an image's.
MIN_NONZERO_OF_SIGNALS = 5
# A filter is local if fewer than this share of its null draws are as compact,
# which is true of nearly 5 % of the filters without any structure,
LEVEL = 0.05
# and if its spread is below this share of the null's mean. Shuffles of a dense
# filter hardly differ, so that the first test alone is too easy; hardly any
# filter without structure passes both.
EFFECT = 0.9
# One filter of a pair repeats the other from this best-shift correlation on.
REPEATS = 0.9

_BLOCK = 512  # filters whose energies are in memory at once
# Largest differences of spreads (px), shares and areas (px²) that may be due to
# rounding.
_SPREAD_TIE = 1e-4
_SHARE_TIE = 1e-5
_AREA_TIE = 0.5


class Locality(NamedTuple):
  """Result of `measure`, for each filter; see `measures` for definitions."""

  nonzero: Int[np.ndarray, ' units']  # number of non-zero values
  spread: compare.Compared  # pixels
  ipr: compare.Compared  # without a null, as a shuffle cannot change it
  window_share: compare.Compared
  # pixels², against the exact null, or shuffles if images are periodic
  box_area: compare.Compared
  # Share of a filter's shuffles that would count as local.
  chance: Float[np.ndarray, ' units']

  @property
  def local(self) -> Bool[np.ndarray, ' units']:
    """True for filters that are local; see `LEVEL` and `EFFECT`."""
    # NaN compares as False: there is no evidence.
    return (self.spread.percentile < LEVEL) & (self.spread.ratio < EFFECT)


class Pairs(NamedTuple):
  """Result of `measure_pairs`: one value, compared with two nulls.

  Any two local filters are more alike at their best shift than pixels from all
  over the image, so that `image` shows locality. `box` tells repetition from
  mere locality if filters fill their boxes; with stray weights they do not.
  """

  image: compare.Compared  # with pixels shuffled over the image
  box: compare.Compared  # with pixels shuffled in the filter's box of non-zeros


class Typical(NamedTuple):
  """Medians of the fields of `Compared`; NaN if no filter has a value."""

  value: float
  null_mean: float
  ratio: float
  z: float
  percentile: float


class Summary(NamedTuple):
  """Result of `summary`; shares and medians of no filters are NaN.

  Medians are over filters with at least `min_nonzero` non-zero values, and over
  pairs of such filters.
  """

  filters: int
  counted: int  # filters with enough non-zero values
  local_of_all: float  # share of all filters that are local
  local_of_counted: float  # share of the counted filters that are local
  # Shares that would be local by chance, with all pixels at random places.
  chance_of_all: float
  chance_of_counted: float
  spread: Typical
  ipr: Typical
  window_share: Typical
  box_area: Typical
  correlation: Typical  # `Pairs.image`
  correlation_in_box: Typical  # `Pairs.box`
  repeats: float  # share of the pairs with a correlation of `REPEATS` or more


def min_nonzero(filters: Real[np.ndarray, '_units _h _w _c']) -> int:
  """Returns how many non-zero values a filter needs to count."""
  height, width = filters.shape[1:3]
  return MIN_NONZERO_OF_SIGNALS if height == 1 < width else MIN_NONZERO


def measure(
  filters: Real[np.ndarray, 'units height width channels'],
  draws: int = null.DRAWS,
  seed: int = 0,
  window: int = measures.WINDOW,
  periodic: bool = False,
) -> Locality:
  """Compares each filter with its own shuffled pixels.

  Args:
    filters: [units, H, W, C], of any real dtype.
    draws: permutations for each filter.
    seed: of the permutations.
    window: side of the window of `window_share`, pixels.
    periodic: whether images continue at the opposite border, so that distances,
      windows and boxes are those on the torus.

  Returns:
    The measures of each filter.

  Raises:
    ValueError: draws or window is less than 1.
  """
  if min(draws, window) < 1:
    raise ValueError(f'draws={draws} and window={window} must be 1 or more.')
  shape = filters.shape[1:3]
  own = blocks.in_blocks(
    lambda part: _own(filters[part], window, periodic), len(filters), _BLOCK
  )
  nonzero, pixels = own[:, :2].T.astype(int)
  spread, ipr, share, area = own[:, 2:].T

  def boxes(part: slice) -> np.ndarray:
    exact = null.null_box_area(pixels[part], shape)
    return np.stack(compare.with_distribution(area[part], exact), axis=1)

  if periodic:
    areas = null.null_torus_box_area(filters, draws, seed)
    box_area = compare.with_draws(area, areas, _AREA_TIE)
  else:
    box_area = compare.Compared(
      *blocks.in_blocks(boxes, len(filters), _BLOCK).T
    )
  spreads = null.null_spread(filters, draws, seed, periodic)
  compared = compare.with_draws(spread, spreads, _SPREAD_TIE)
  return Locality(
    nonzero,
    compared,
    compare.without_null(ipr),
    compare.with_draws(
      share,
      null.null_window_share(filters, window, draws, seed, periodic),
      _SHARE_TIE,
      larger_is_local=True,
    ),
    box_area,
    _chance(spreads, compared.null_mean),
  )


def measure_pairs(
  filters: Real[np.ndarray, 'units height width channels'],
  least: int | None = None,
  pairs: int = sharing.PAIRS,
  draws: int = sharing.PAIR_DRAWS,
  seed: int = 0,
  compared: int | None = None,
  periodic: bool = False,
) -> Pairs:
  """Compares the best-shift correlation of filters with shuffled filters.

  Args:
    filters: [units, H, W, C], of any real dtype.
    least: filters with fewer non-zero values are left out, as any two filters
      of few pixels are alike; None: as many as `min_nonzero` says.
    pairs: number of random pairs.
    draws: permutations for each pair.
    seed: of pairs and permutations.
    compared: number of pairs that are compared; the others have NaN. None: all.
    periodic: whether images continue at the opposite border.

  Returns:
    The correlation of each pair.
  """
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  least = min_nonzero(filters) if least is None else least
  counted = np.flatnonzero(nonzero >= max(1, least))
  a, b = counted[sharing.pairs(len(counted), pairs, seed)].T
  a, b = filters[a], filters[b]
  value = sharing.best_shift_correlation(a, b, periodic)
  some = slice(compared)

  def against(inside_box: bool) -> compare.Compared:
    null = np.full((len(value), draws), np.nan, np.float32)
    null[some] = sharing.null_correlation(
      a[some], b[some], draws, seed, inside_box, periodic
    )
    return compare.with_draws(value, null, _SHARE_TIE, larger_is_local=True)

  return Pairs(against(inside_box=False), against(inside_box=True))


def summary(
  result: Locality,
  pairs: Pairs | None = None,
  least: int = MIN_NONZERO,
) -> Summary:
  """Returns shares and medians over the filters of a layer.

  Filters without any weight are among all filters, and are not local.

  Args:
    result: from `measure`.
    pairs: from `measure_pairs`, for the same filters.
    least: filters with fewer non-zero values are not counted.
  """
  counted = result.nonzero >= least
  if pairs is None:
    pairs = Pairs(*[compare.without_null(np.empty(0))] * 2)
  value = pairs.image.value
  return Summary(
    filters=len(result.nonzero),
    counted=int(counted.sum()),
    local_of_all=_mean(result.local),
    local_of_counted=_mean(result.local[counted]),
    chance_of_all=_mean(result.chance),
    chance_of_counted=_mean(result.chance[counted]),
    spread=_typical(result.spread, counted),
    ipr=_typical(result.ipr, counted),
    window_share=_typical(result.window_share, counted),
    box_area=_typical(result.box_area, counted),
    correlation=_typical(pairs.image),
    correlation_in_box=_typical(pairs.box),
    repeats=_mean(value[~np.isnan(value)] >= REPEATS),
  )


def _chance(null: np.ndarray, mean: np.ndarray) -> np.ndarray:
  """Returns the share of spreads that are local, compared with the others.

  Args:
    null: spreads of shuffled filters, [units, draws].
    mean: of the null; NaN where it does not vary, and nothing is local.
  """
  draws = null.shape[1]
  below = np.sort(null, axis=1) < EFFECT * mean[:, None]
  below &= np.arange(draws) < LEVEL * (draws - 1)
  return below.mean(axis=1)


def _own(filters: np.ndarray, window: int, periodic: bool) -> np.ndarray:
  """Returns counts of values and pixels, and the measures, [units, 6]."""
  used = filters != 0
  return np.stack(
    [
      used.sum(axis=(1, 2, 3)),
      used.any(axis=3).sum(axis=(1, 2)),
      measures.spread(filters, periodic),
      measures.ipr(filters),
      measures.window_share(filters, window, periodic),
      measures.box_area(filters, periodic),
    ],
    axis=1,
  )


def _typical(
  result: compare.Compared, which: np.ndarray | slice = slice(None)
) -> Typical:
  return Typical(
    *(_median(getattr(result, name)[which]) for name in Typical._fields)
  )


def _mean(values: np.ndarray) -> float:
  return float(values.mean()) if values.size else float('nan')


def _median(values: np.ndarray) -> float:
  values = values[~np.isnan(values)]
  return float(np.median(values)) if values.size else float('nan')
