r"""Runs a grid on a Cloud TPU VM, or a slice of several hosts, by gcloud.

  python -m launch.tpu_vm sgd --root=runs/sgd --name=lconv \
    --zone=us-central2-b --accelerator_type=v4-8

Creates the VM if it does not exist, installs the last commit on all its hosts,
trains one point after the other, and copies each finished run into ROOT.
Repeating the command after an interruption does what is left. The VM stays, and
costs money, until --delete or `gcloud compute tpus tpu-vm delete`. See
docs/clouds.md.
"""

import argparse
import contextlib
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence

from launch import checkout, options, roots, sweep

_TAR = 'lconv_jax.tar.gz'
_INCOMING = '.incoming'  # of ROOT: a run that is being copied
# Runtimes that Google recommends for JAX, by the first part of a type's name.
_RUNTIMES = {
  'v2': 'tpu-ubuntu2204-base',
  'v3': 'tpu-ubuntu2204-base',
  'v4': 'tpu-ubuntu2204-base',
  'v5litepod': 'v2-alpha-tpuv5-lite',
  'v5p': 'v2-alpha-tpuv5',
  'v6e': 'v2-alpha-tpuv6e',
}
_ONE_HOST = 8  # the largest number in a type's name that is a single host

# The runtimes' own Python is too old for JAX.
_INSTALL = f"""\
set -e
rm -rf lconv_jax
tar -xzf {_TAR}
python3 -m pip install -q --user uv
test -x venv/bin/python || python3 -m uv venv -q --python 3.12 venv
python3 -m uv pip install -q --python venv/bin/python -e 'lconv_jax[all,tpu]'
"""
# A run that a lost connection has left behind holds the TPU, so it is told to
# save and stop. `exec` keeps the process id that is in the file.
_TRAIN = """\
mkdir -p {root}
old=/proc/$(cat {root}/.pid 2>/dev/null || echo none)
if grep -qs main.py "$old/cmdline"; then kill "${{old#/proc/}}"; fi
while grep -qs main.py "$old/cmdline"; do sleep 1; done
echo $$ > {root}/.pid
cd lconv_jax && exec ../venv/bin/python main.py {flags}
"""


class _Vm:
  """TPU VM, by the commands of gcloud."""

  def __init__(self, args: argparse.Namespace) -> None:
    self._args = args
    self._pretended = ''  # its state in a dry run
    self._where = [f'--zone={args.zone}', '--quiet']
    if args.project:
      self._where.append(f'--project={args.project}')

  def ensure(self) -> bool:
    """Creates the VM if it does not exist; returns whether it is new."""
    state = self._state()
    if state == 'READY':
      return False
    if state in ('PREEMPTED', 'TERMINATED'):
      self.delete()
    elif state:
      raise ValueError(
        f'{self._args.name} is {state}; wait until it is READY, start it, or '
        'delete it.'
      )
    words = [
      f'--accelerator-type={self._args.accelerator_type}',
      f'--version={_runtime(self._args)}',
      *(['--spot'] if self._args.spot else []),
    ]
    if self._run('create', self._args.name, *words):
      raise ValueError(
        f'{self._args.name} cannot be created; gcloud says why above.'
      )
    self._pretended = 'READY'
    return True

  def install(self) -> None:
    """Installs the last commit and its requirements on all hosts."""
    with tempfile.TemporaryDirectory() as folder:
      packed = pathlib.Path(folder) / _TAR
      if not self._args.dry_run:
        with tarfile.open(packed, 'w:gz') as tar:
          tar.add(checkout.clone(folder), 'lconv_jax')
      there = f'{self._args.name}:'
      failed = self._run('scp', str(packed), there, '--worker=all')
      if failed or self.ssh(_INSTALL):
        raise ValueError(
          f'lconv_jax cannot be installed on {self._args.name}; see above.'
        )

  def ssh(self, script: str) -> int:
    """Runs a script on all hosts at once, and returns the exit status."""
    return self._run(
      'ssh', self._args.name, '--worker=all', f'--command={script}'
    )

  def fetch(self, folder: str, into: pathlib.Path) -> int:
    """Copies a folder from the first host, the only one that writes runs."""
    there = f'{self._args.name}:{folder}'
    return self._run('scp', '--recurse', there, str(into), '--worker=0')

  def delete(self) -> None:
    """Deletes the VM with everything on it."""
    self._run('delete', self._args.name)

  def _state(self) -> str:
    """Returns the VM's state, such as READY; '' if it does not exist."""
    command = self._command(
      'describe', self._args.name, '--format=value(state)'
    )
    if self._args.dry_run:
      print('$', shlex.join(command), '#', self._pretended or 'not there')
      return self._pretended
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and 'NOT_FOUND' not in done.stderr:
      raise ValueError(f'gcloud says: {" ".join(done.stderr.split())}')
    return done.stdout.strip()

  def _run(self, *words: str) -> int:
    command = self._command(*words)
    print('$', shlex.join(command), flush=True)
    if self._args.dry_run:
      return 0
    return subprocess.run(command, check=False).returncode

  def _command(self, verb: str, *words: str) -> list[str]:
    return ['gcloud', 'compute', 'tpus', 'tpu-vm', verb, *words, *self._where]


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the points of a grid that are not finished."""
  args, whole = options.parse(_parser(), argv)
  root = args.root.absolute()
  with options.one_sentence(), contextlib.ExitStack() as stack:
    _runtime(args)
    if not args.dry_run:
      if not shutil.which('gcloud'):
        raise ValueError(
          'gcloud is not installed; see '
          'https://cloud.google.com/sdk/docs/install.'
        )
      roots.claim(root, whole)
      stack.enter_context(roots.only(root, '.tpu_vm.lock'))
    try:
      left = _train(args, whole, root)
    except KeyboardInterrupt:
      sys.exit(
        f'Stopped. {args.name} still exists, and may go on with its point; the '
        'same command continues.'
      )
  if left:
    sys.exit(
      f'error: {len(left)} points are not finished, such as {left[0]}; the '
      'same command continues them.'
    )


def _train(
  args: argparse.Namespace, whole: sweep.Sweep, root: pathlib.Path
) -> list[str]:
  """Trains points that are not finished; returns those that did not finish."""
  todo = roots.unfinished(root, whole)
  for name in todo:
    if (root / name).exists():
      raise ValueError(
        f'{root / name} holds a run that was begun elsewhere; finish it there, '
        'or choose another --root.'
      )
  vm = _Vm(args)
  there = f'runs/{root.name}'
  installed, left = False, []
  for name in todo:
    # Before each point, as a spot VM may be gone.
    if vm.ensure() or not installed:
      vm.install()
      installed = True
    words = sweep.flags(whole, name, f'~/{there}')
    if _number(args.accelerator_type) > _ONE_HOST:
      words.append('--distributed')
    script = _TRAIN.format(root=shlex.quote(there), flags=shlex.join(words))
    if vm.ssh(script) or not _fetch(vm, there, name, root, args.dry_run):
      left.append(name)
  if args.delete and not left:
    vm.delete()
  return left


def _fetch(
  vm: _Vm, there: str, name: str, root: pathlib.Path, dry_run: bool
) -> bool:
  """Copies a run into ROOT, whole or not at all; returns whether it is."""
  incoming = root / _INCOMING
  if not dry_run:
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
  vm.fetch(f'{there}/{name}', incoming)
  if dry_run:
    return True
  if not roots.finished(incoming, name):
    return False
  (incoming / name).rename(root / name)
  incoming.rmdir()
  return True


def _runtime(args: argparse.Namespace) -> str:
  generation = args.accelerator_type.rpartition('-')[0]
  if not args.version and generation not in _RUNTIMES:
    raise ValueError(
      f'No runtime is known for {args.accelerator_type}, only for '
      f'{", ".join(_RUNTIMES)}; set --version.'
    )
  return args.version or _RUNTIMES[generation]


def _number(accelerator_type: str) -> int:
  """Returns 8 for v4-8: cores or chips, depending on the generation."""
  return int(accelerator_type.rpartition('-')[2])


def _type(word: str) -> str:
  if not re.fullmatch(r'\w+-\d+', word):
    raise argparse.ArgumentTypeError(f'{word!r} is not a type such as v4-8')
  return word


def _parser() -> argparse.ArgumentParser:
  made = options.parser('launch.tpu_vm', __doc__)
  made.add_argument('--name', required=True, help='of the TPU VM')
  made.add_argument('--zone', required=True)
  made.add_argument('--project', help="default: gcloud's")
  made.add_argument('--accelerator_type', required=True, type=_type)
  made.add_argument('--version', help='of the runtime; default: that for JAX')
  made.add_argument('--spot', action='store_true', help='cheaper, may vanish')
  made.add_argument(
    '--delete', action='store_true', help='delete the VM when all is finished'
  )
  return made


if __name__ == '__main__':
  main()
