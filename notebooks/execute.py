"""Executes a notebook top to bottom, as it is committed: with its outputs.

python -m notebooks.execute notebooks/quickstart.ipynb
"""

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Sequence

import nbclient
import nbformat

_TIMEOUT_S = 1200  # for a cell


def execute(
  notebook: nbformat.NotebookNode, cwd: str | pathlib.Path
) -> nbformat.NotebookNode:
  """Runs all cells in a kernel of their own, outputs in place of the old ones.

  What says on which machine that was is taken out: metadata, and the name of
  the folder, which becomes a dot.

  Args:
    notebook: changed in place.
    cwd: where the kernel runs.

  Returns:
    `notebook`.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell failed; the message has the
      traceback.
  """
  client = nbclient.NotebookClient(
    notebook,
    timeout=_TIMEOUT_S,
    kernel_name='python3',
    record_timing=False,
    resources={'metadata': {'path': str(cwd)}},
    coalesce_streams=True,
  )
  client.execute()
  notebook.metadata = nbformat.from_dict(
    {
      'accelerator': 'GPU',  # what Colab then offers
      'colab': {'provenance': []},
      'kernelspec': {
        'display_name': 'Python 3',
        'language': 'python',
        'name': 'python3',
      },
      'language_info': {'name': 'python'},
    }
  )
  here = str(pathlib.Path(cwd).resolve())
  for cell in notebook.cells:
    for output in cell.get('outputs', ()):
      if output.output_type == 'stream':
        output.text = output.text.replace(here, '.')
  return notebook


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m notebooks.execute', description=__doc__.splitlines()[0]
  )
  parser.add_argument('notebook', type=pathlib.Path, help='an .ipynb file')
  args = parser.parse_args(argv)
  notebook = nbformat.read(args.notebook, as_version=4)
  with tempfile.TemporaryDirectory() as cwd:
    execute(notebook, cwd)
  nbformat.write(notebook, args.notebook)
  return 0


if __name__ == '__main__':
  sys.exit(main())
