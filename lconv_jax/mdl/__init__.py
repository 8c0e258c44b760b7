"""Theorem 2 as software (paper, appendix B): a net's description, its bound."""

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
