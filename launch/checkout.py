"""Clones the last commit of this code, for other machines. Imports no JAX."""

import pathlib
import subprocess
import sys

_CODE = pathlib.Path(__file__).resolve().parents[1]


def clone(folder: str | pathlib.Path) -> pathlib.Path:
  """Clones the last commit into FOLDER/lconv_jax, whose runs then record it.

  Returns:
    The clone's path.

  Raises:
    ValueError: git cannot clone it.
  """
  path = pathlib.Path(folder) / 'lconv_jax'
  # Containers have other file modes, which would count as changes.
  options = ['-q', '--depth=1', '-c', 'core.fileMode=false']
  try:
    if _git('-C', str(_CODE), 'status', '--porcelain', '-uno'):
      print('note: only what is committed is taken along.', file=sys.stderr)
    _git('clone', *options, _CODE.as_uri(), str(path))
  except (OSError, subprocess.CalledProcessError) as e:
    reason = ' '.join((getattr(e, 'stderr', None) or str(e)).split())
    raise ValueError(
      f'{_CODE} cannot be cloned by git ({reason}); other machines need the '
      'code as a commit.'
    ) from e
  return path


def _git(*words: str) -> str:
  done = subprocess.run(
    ['git', *words], capture_output=True, text=True, check=True
  )
  return done.stdout
