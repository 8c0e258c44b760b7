r"""Trains a grid on SLURM: an array job with a task for each point.

  python -m launch.slurm sgd --root=runs/sgd --gpus=1 --time=8:00:00
  python -m launch.slurm single --root=runs/s_fc --config=configs/s_fc.py \
    --nodes=2 --gpus=4 --time=8:00:00

Writes the batch script ROOT/slurm.sh and submits it; ROOT/logs/INDEX.txt is
what a point prints. Repeating the command submits the points that are neither
finished nor submitted. See docs/slurm.md.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

from launch import options, roots, sweep
from lconv_jax import runs
from lconv_jax.report import command

_SCRIPT = 'slurm.sh'

_TEXT = """\
#!/bin/bash
# Trains points of the grid.json beside it; --array has their indices. Each
# launch.slurm overwrites it; `sbatch {path}` submits it as it is.

{options}
# The training, not this script, gets two minutes to save.
#SBATCH --signal=TERM@120
#SBATCH --requeue

task=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID
echo "Task $task on $SLURM_JOB_NODELIST, $(date)"
{before}srun {python} -m launch.point \\
  {root} "$SLURM_ARRAY_TASK_ID"{flags}
status=$?

# 143: stopped by SIGTERM and saved, at preemption or at its time limit. A task
# that `scancel` ended is not RUNNING, and must not come back.
if [ $status = 143 ] && [ "$(squeue -h -j "$task" -o %T)" = RUNNING ]; then
  scontrol requeue "$task"
fi
exit $status
"""
_CPUS = """\
# Since SLURM 22.05, srun does not inherit it.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
"""
_TOGETHER = """\
# The processes end together by themselves, after the first has saved.
export SLURM_KILL_BAD_EXIT=0
"""


def main(argv: Sequence[str] | None = None) -> None:
  """Submits the points that are left, or prints how."""
  args, asked = options.parse(_parser(), argv)
  with options.one_sentence():
    _launch(args, asked)


def script(
  args: argparse.Namespace, root: pathlib.Path, points: Sequence[int]
) -> str:
  """Returns the batch script.

  Args:
    args: the options of the command line.
    root: the absolute path of the folder of all runs.
    points: indices into the sweep of that folder.

  Raises:
    ValueError: options contradict each other.
  """
  tasks = _tasks_per_node(args)
  at_once = f'%{args.at_once}' if args.at_once else ''
  log = f'{root}/logs/'.replace('%', '%%') + '%a.txt'
  head = {
    '--job-name': shlex.quote(root.name),
    '--array': compress(points) + at_once,
    '--output': shlex.quote(log),
    '--open-mode': 'append',
    '--chdir': shlex.quote(str(pathlib.Path.cwd())),
    '--nodes': args.nodes,
    '--ntasks-per-node': tasks,
    '--time': args.time,
    '--partition': args.partition,
    '--gpus-per-node': args.gpus,
    '--cpus-per-task': args.cpus,
    '--mem': args.mem,
  }
  lines = [f'{name}={value}' for name, value in head.items() if value]
  together = args.nodes * tasks > 1
  return _TEXT.format(
    path=shlex.quote(str(root / _SCRIPT)),
    options='\n'.join(f'#SBATCH {line}' for line in [*lines, *args.sbatch]),
    before=(_CPUS if args.cpus else '') + (_TOGETHER if together else ''),
    python=shlex.quote(sys.executable),
    root=shlex.quote(str(root)),
    flags=' --distributed' if together else '',
  )


def compress(indices: Sequence[int]) -> str:
  """Returns increasing integers as --array takes them, such as 0-4,7."""
  ranges = []
  for i in indices:
    if ranges and i == ranges[-1][1] + 1:
      ranges[-1][1] = i
    else:
      ranges.append([i, i])
  return ','.join(f'{a}-{b}' if a < b else str(a) for a, b in ranges)


def _launch(args: argparse.Namespace, asked: sweep.Sweep) -> None:
  root = pathlib.Path(os.path.abspath(args.root))
  if not args.dry_run and not shutil.which('sbatch'):
    raise ValueError(
      'sbatch is not found; use a login node of a SLURM cluster, --dry_run to '
      'see the script, or launch.local to train on this machine.'
    )
  path = root / _SCRIPT
  names = list(roots.merge(root, asked, runs.FREE).points)
  submitted = _submitted(path)
  finished = {i for i, n in enumerate(names) if runs.done(root / n)}
  wanted = {names.index(n) for n in asked.points}
  left = sorted(wanted - finished - submitted)
  print(
    f'{len(wanted)} points: {len(wanted & finished)} finished, '
    f'{len(wanted & submitted - finished)} submitted before, {len(left)} left.'
  )
  if not left:
    return
  text = script(args, root, left)
  if args.dry_run:
    print(text, shlex.join(['sbatch', str(path)]), sep='\n')
    return
  roots.claim(root, asked, runs.FREE)
  (root / 'logs').mkdir(exist_ok=True)
  path.write_text(text, encoding='utf-8')
  _submit(path)


def _submitted(path: pathlib.Path) -> set[int]:
  """Returns the indices of a script's tasks that wait or run."""
  if not shutil.which('squeue'):
    return set()
  # The format is index and script. If this fails, sbatch will say why.
  command = ['squeue', '--me', '--noheader', '--array', '--format=%K %o']
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  tasks = [line.partition(' ') for line in result.stdout.splitlines()]
  return {int(index) for index, _, script in tasks if script == str(path)}


def _submit(path: pathlib.Path) -> None:
  result = subprocess.run(
    ['sbatch', str(path)], capture_output=True, text=True, check=False
  )
  if result.returncode:
    said = ' '.join(re.sub(r'\w+: error: ', '', result.stderr).split())
    raise ValueError(
      f'sbatch says: {said}; change the options, or look at {path}.'
    )
  print(result.stdout, end='')


def _tasks_per_node(args: argparse.Namespace) -> int:
  gpus = int(args.gpus.rpartition(':')[2]) if args.gpus else 0
  tasks = args.ntasks_per_node
  if tasks is None:
    return max(gpus, 1) if args.nodes > 1 else 1
  if gpus and tasks != gpus and args.nodes * tasks > 1:
    # JAX would only use the GPU of a process's number within the node.
    raise ValueError(
      f'--ntasks_per_node={tasks} with --gpus={args.gpus}: processes that '
      f'train together need a GPU each; leave out --ntasks_per_node.'
    )
  return tasks


def _parser() -> argparse.ArgumentParser:
  made = options.parser('launch.slurm', __doc__)
  made.add_argument(
    '--at_once', type=command.positive, help='points that train at a time'
  )
  made.add_argument(
    '--nodes',
    type=command.positive,
    default=1,
    help='of each point; default: 1',
  )
  made.add_argument(
    '--ntasks_per_node',
    type=command.positive,
    help='processes of each point; default: 1, on several nodes as many as '
    'GPUs',
  )
  made.add_argument('--gpus', type=_gpus, help='per node, such as 4 or a100:4')
  made.add_argument('--cpus', type=command.positive, help='per process')
  made.add_argument('--mem', help='per node, such as 32G')
  made.add_argument('--time', type=_time, help='limit, such as 8:00:00')
  made.add_argument('--partition')
  made.add_argument(
    '--sbatch',
    type=_option,
    action='append',
    default=[],
    metavar='OPTION',
    help='another option of sbatch, such as --sbatch=--account=me; may be '
    'repeated',
  )
  return made


def _gpus(word: str) -> str:
  if not re.fullmatch(r'([\w.-]+:)?[1-9]\d*', word):
    raise argparse.ArgumentTypeError(f'{word!r} is neither 4 nor a100:4')
  return word


def _time(word: str) -> str:
  # SLURM asks a run to save up to three minutes before its end, so a shorter
  # run would save again and again. sbatch checks the formats M, M:S and H:M:S.
  if re.fullmatch(r'(0+:)?0*[0-4](:\d+)?', word):
    raise argparse.ArgumentTypeError(f'{word!r} is less than 5 minutes')
  return word


def _option(word: str) -> str:
  if not word.startswith('-'):
    raise argparse.ArgumentTypeError(
      f'{word!r} is not an option such as --sbatch=--account=me'
    )
  return word


if __name__ == '__main__':
  main()
