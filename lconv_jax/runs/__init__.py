"""Run folders: what a run leaves behind, and from where it continues.

`read` returns what is in a folder, of this version or of an older one, and
`load_net` its net; a `Folder` serves those who train or evaluate the run.
Several processes may train one run: what only the first process must do happens
inside `Folder`, and how processes agree is in `hosts`.
"""

from lconv_jax.runs import checkpoint, hosts, metrics
from lconv_jax.runs.checkpoint import Checkpoint
from lconv_jax.runs.environment import environment
from lconv_jax.runs.files import read_json, write_json
from lconv_jax.runs.folder import (
  ERROR,
  FREE,
  Event,
  FirstLayer,
  Folder,
  in_use,
)
from lconv_jax.runs.interrupt import Interrupted, Watch
from lconv_jax.runs.net import load_net
from lconv_jax.runs.record import Record, done, read

__all__ = [
  'ERROR',
  'FREE',
  'Checkpoint',
  'Event',
  'FirstLayer',
  'Folder',
  'Interrupted',
  'Record',
  'Watch',
  'checkpoint',
  'done',
  'environment',
  'hosts',
  'in_use',
  'load_net',
  'metrics',
  'read',
  'read_json',
  'write_json',
]
