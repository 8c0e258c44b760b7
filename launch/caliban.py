"""Writes a grid as an experiment for Caliban, which runs it in containers.

  python -m launch.caliban sgd --root=runs/sgd

ROOT/caliban.json has the flags of every point that is not finished. The command
that runs them is printed, for you to type where Caliban is installed. Repeating
this one leaves out the points that are finished by then. See docs/clouds.md.
"""

import json
import pathlib
import shlex
from collections.abc import Sequence

from launch import container, options, roots, sweep

_FILE = 'caliban.json'
# Values that absl takes for booleans.
_BOOLEANS = ('true', 't', '1', 'false', 'f', '0')


def experiment(words: Sequence[str]) -> dict[str, str | bool]:
  """Returns an entry of an experiment config, from which Caliban makes flags.

  Args:
    words: main.py's arguments, each as --FLAG=VALUE.
  """
  entry = {}
  for word in words:
    flag, _, value = word.removeprefix('--').partition('=')
    # Caliban writes `--FLAG VALUE`, or `--FLAG` alone if the value is true. A
    # boolean flag does not take a second word, so it is written as one.
    if value.lower() in _BOOLEANS:
      entry[f'{flag}={value}'] = True
    else:
      entry[flag] = value
  return entry


def commands(
  whole: sweep.Sweep,
  root: pathlib.Path,
  remote_root: str | None = None,
  gpu: bool = True,
) -> list[str]:
  """Returns the commands that run ROOT/caliban.json.

  Args:
    whole: the sweep.
    root: absolute.
    remote_root: where runs elsewhere write; None: they run on this machine.
    gpu: whether the image and the machines have GPUs.

  Raises:
    ValueError: a folder cannot be mounted.
  """
  ends = [
    *([] if gpu else ['--nogpu']),
    '--experiment_config',
    str(root / _FILE),
  ]
  if remote_root:
    starts = (['cloud'], ['cluster', 'job', 'submit'])
    return [shlex.join(['caliban', *s, *ends, 'main.py']) for s in starts]
  folders = container.folders(whole, root)
  docker = ['--rm', *(f'-v {folder}:{folder}' for folder in folders)]
  docker += [f'-e {k}={v}' for k, v in container.environment(root).items()]
  if gpu:  # the image itself does not request them
    docker.append('-e NVIDIA_VISIBLE_DEVICES=all')
  words = ['caliban', 'run', *ends, f'--docker_run_args={" ".join(docker)}']
  return [shlex.join([*words, 'main.py'])]


def main(argv: Sequence[str] | None = None) -> None:
  """Writes the file that Caliban needs, and prints the commands."""
  made = options.parser('launch.caliban', __doc__)
  made.add_argument(
    '--remote_root',
    help='the root as the containers of `caliban cloud` and `caliban cluster` '
    'see it; default: they run on this machine, with ROOT mounted',
  )
  made.add_argument('--nogpu', action='store_true', help='as of Caliban')
  args, whole = options.parse(made, argv)
  root = args.root.absolute()
  todo = roots.unfinished(root, whole)
  where = args.remote_root or root
  entries = [experiment(sweep.flags(whole, name, where)) for name in todo]
  text = json.dumps(entries, indent=1)
  with options.one_sentence():
    typed = commands(whole, root, args.remote_root, not args.nogpu)
    if not args.dry_run:
      roots.claim(root, whole)
      (root / _FILE).write_text(text, encoding='utf-8')
  if args.dry_run:
    print(text)
  print(f'{len(todo)} of {len(whole.points)} points are not finished.')
  if todo:
    print('To run them, in this folder:', *typed, sep='\n')


if __name__ == '__main__':
  main()
