"""Locality of learned filters, and how often they repeat at other positions.

`measure` and `measure_pairs` compare each measure with a null model, the
filter's own pixels at random positions: as a z-score, a percentile, and a
ratio, which is the size of the effect. `summary` says what is typical of a
layer. docs/locality.md has definitions and sources.

  >>> filters = from_kernel(params['conv1']['kernel'], (32, 32, 3))
  >>> result = measure(filters)  # result.spread.z: of each filter
  >>> pairs = measure_pairs(filters)
  >>> summary(result, pairs, min_nonzero(filters)).local_of_all
  0.47
"""

from lconv_jax.locality.compare import Compared
from lconv_jax.locality.filters import energy, from_kernel
from lconv_jax.locality.layer import (
  EFFECT,
  LEVEL,
  REPEATS,
  Locality,
  Pairs,
  Summary,
  Typical,
  measure,
  measure_pairs,
  min_nonzero,
  summary,
)
from lconv_jax.locality.log import flat, metrics, sample
from lconv_jax.locality.measures import (
  WINDOW,
  box_area,
  ipr,
  spread,
  window_share,
)
from lconv_jax.locality.null import (
  null_box_area,
  null_spread,
  null_torus_box_area,
  null_window_share,
)
from lconv_jax.locality.sharing import (
  best_shift_correlation,
  null_correlation,
  pairs,
)

__all__ = [
  'EFFECT',
  'LEVEL',
  'REPEATS',
  'WINDOW',
  'Compared',
  'Locality',
  'Pairs',
  'Summary',
  'Typical',
  'best_shift_correlation',
  'box_area',
  'energy',
  'flat',
  'from_kernel',
  'ipr',
  'measure',
  'measure_pairs',
  'metrics',
  'min_nonzero',
  'null_box_area',
  'null_correlation',
  'null_spread',
  'null_torus_box_area',
  'null_window_share',
  'pairs',
  'sample',
  'spread',
  'summary',
  'window_share',
]
