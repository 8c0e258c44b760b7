"""Run folders: what a run leaves behind, and from where it continues.

A folder holds the run's config, metrics, checkpoints and final numbers; `read`
returns what is in one, of this version or of an older one, and `load_net` its
net. Several processes may train one run: what they have to agree on, or leave
to the first one, is in `hosts`.
"""

from lconv_jax.runs import checkpoint, hosts, interrupt, metrics
from lconv_jax.runs.folder import (
  ERROR,
  FREE,
  environment,
  in_use,
  open_folder,
  write_json,
)
from lconv_jax.runs.net import load_net
from lconv_jax.runs.record import Record, done, read, read_json

__all__ = [
  'ERROR',
  'FREE',
  'Record',
  'checkpoint',
  'done',
  'environment',
  'hosts',
  'in_use',
  'interrupt',
  'load_net',
  'metrics',
  'open_folder',
  'read',
  'read_json',
  'write_json',
]
