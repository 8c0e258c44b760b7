"""Runs code as if packages were not installed."""

import pathlib
import subprocess
import sys

# Not `sys.modules[name] = None`: tensorflow-datasets takes that for imported.
HIDE = """
import importlib.machinery, sys

class Finder(importlib.machinery.PathFinder):
  @classmethod
  def find_spec(cls, name, path=None, target=None):
    if name.partition('.')[0] in {packages}:
      return None
    return super().find_spec(name, path, target)

at = sys.meta_path.index(importlib.machinery.PathFinder)
sys.meta_path[at] = Finder
"""


def run(packages, code, cwd=None, quiet=True):
  """Runs `code` in a process without `packages`, returns what it prints."""
  done = subprocess.run(
    [sys.executable, '-c', HIDE.format(packages=packages) + code],
    cwd=cwd or pathlib.Path(__file__).parents[1],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert not (quiet and done.stderr), done.stderr
  return done.stdout
