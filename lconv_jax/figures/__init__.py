"""How the paper's figures look: data in, PNG, vector PDF and caption out.

Which runs a figure shows, and what its caption says, is in `lconv_jax.paper`;
`python -m lconv_jax.figures` draws from run folders.
"""

from lconv_jax.figures.bounds import Bounded, bounds
from lconv_jax.figures.contact_sheet import contact_sheet
from lconv_jax.figures.curves import curves, nonzero
from lconv_jax.figures.filters import first_layer_filters

__all__ = [
  'Bounded',
  'bounds',
  'contact_sheet',
  'curves',
  'first_layer_filters',
  'nonzero',
]
