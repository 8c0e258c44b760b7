"""Run folders, in which runs leave their results and from which they continue.

`read` returns the contents of a folder, of this version or of an older one, and
`load_net` its net; `Folder` is for training and evaluation. Several processes
may train one run: `Folder` lets only the first one read and write, and `hosts`
lets them agree.
"""

from lconv_jax.runs import checkpoint, hosts, inputs, metrics
from lconv_jax.runs.checkpoint import Checkpoint
from lconv_jax.runs.compare import FREE
from lconv_jax.runs.environment import changed_environment, environment
from lconv_jax.runs.event import Event, FirstLayer
from lconv_jax.runs.files import read_json, write_json
from lconv_jax.runs.folder import ERROR, Folder, in_use
from lconv_jax.runs.interrupt import Interrupted, Watch
from lconv_jax.runs.lost import SAVE_SECONDS
from lconv_jax.runs.net import load_net
from lconv_jax.runs.record import Record, done, read

__all__ = [
  'ERROR',
  'FREE',
  'SAVE_SECONDS',
  'Checkpoint',
  'Event',
  'FirstLayer',
  'Folder',
  'Interrupted',
  'Record',
  'Watch',
  'changed_environment',
  'checkpoint',
  'done',
  'environment',
  'hosts',
  'in_use',
  'inputs',
  'load_net',
  'metrics',
  'read',
  'read_json',
  'write_json',
]
