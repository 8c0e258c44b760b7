"""Theorem 2 as software (paper, appendix B): short descriptions, and bounds.

`quantise` gives a net few values, `encode` writes it in few bits and `decode`
reads it, and `bound` says what a description of that length guarantees. For the
nets of runs, `python -m lconv_jax.mdl` does all of this.
"""

from lconv_jax.mdl.code import (
  CODES,
  Length,
  decode,
  decode_first,
  description_length,
  encode,
)
from lconv_jax.mdl.shared import quantise
from lconv_jax.mdl.theorem import Bound, bound, code_length_upper_bound

__all__ = [
  'CODES',
  'Bound',
  'Length',
  'bound',
  'code_length_upper_bound',
  'decode',
  'decode_first',
  'description_length',
  'encode',
  'quantise',
]
