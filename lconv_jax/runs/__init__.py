"""Run folders: what a run leaves behind, and from where it continues.

A folder holds the run's config, metrics, checkpoints and final numbers, which
`metrics`, `checkpoint`, `done` and `read_json` read. Several processes may
train one run: what they have to agree on, or leave to the first one, is in
`hosts`.
"""

from lconv_jax.runs import checkpoint, hosts, interrupt, metrics
from lconv_jax.runs.folder import (
  ERROR,
  FREE,
  done,
  environment,
  in_use,
  open_folder,
  read_json,
  write_json,
)

__all__ = [
  'ERROR',
  'FREE',
  'checkpoint',
  'done',
  'environment',
  'hosts',
  'in_use',
  'interrupt',
  'metrics',
  'open_folder',
  'read_json',
  'write_json',
]
