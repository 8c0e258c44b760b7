"""Kills runs, damages their folders and misspells their configs.

  python -m benchmarks.chaos --out benchmarks/results/chaos.json

Kills: a process that trains is killed (SIGKILL) at a random moment, or just
before a file operation in the run folder that is drawn by chance, or finds the
disk full there; up to three times before the same call is left to finish. Final
nets and metrics are then compared bit by bit with those of a run that nobody
disturbed. The runs are single ones and grids of three points.

Damages: of a run that is finished, or was killed at its very end, a file that
is drawn by chance is changed (a bit, a block of zeros, an end cut off, a part
twice) or deleted. The run must come to the same nets and metrics, or say what
is wrong.

Configs: up to three fields get values that make no sense. Whatever cannot be
trained must be refused in one sentence.
"""

import argparse
import collections
import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
from absl import logging

from benchmarks import interleave
from configs import base
from lconv_jax import data, errors, runs, train
from lconv_jax.runs import checksums

GRID = {
  'plain': {},
  'sparse': {'optim.l1_conv': 1e-2},
  'seed': {'seed': 3, 'optim.lr': 0.02},
}
_TIMING = ('seconds', 'images_per_second')
_WRITES = ('os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'open')
# What people, and broken scripts, write into a field.
_NONSENSE = (
  *(0, -1, 1, 2, 7, 10**12, -(2**63), 2**64),
  *(0.5, -0.5, 1e-300, 1e39, 1e300, float('inf'), float('nan')),
  *('', ' ', 'x', 'none', 'S_FC', '../..', 'ä\n', 'x' * 5000),
  *(True, False, None, (), (1.0,), (1.5, 3.0), (0.0, -1.0), {'a': 1}),
)  # fmt: skip


def config(**fields: Any) -> base.Config:
  """Returns the config of a run of seconds, changed by fields with dots."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels = 1
  c.data.augment = 'flip_crop'
  c.data.nlgp.update({'train': 750, 'test': 150})
  c.data.validation = 110
  c.optim.update({'l1_conv': 2e-3, 'l1_fc': 1e-3, 'beta': 5.0})
  c.train.update({'batch_size': 64, 'epochs': 4, 'checkpoint_every_epochs': 1})
  c.update_from_flattened_dict(fields)
  return c


def train_single(folder: pathlib.Path) -> None:
  """Trains, or continues, a single run."""
  train.train_and_evaluate(config(), folder)


def train_grid(folder: pathlib.Path) -> None:
  """Trains, or continues, three points side by side."""
  configs = {name: config(**fields) for name, fields in GRID.items()}
  for error in train.train_all(configs, folder).values():
    raise error


KINDS = {'single runs': train_single, 'grids of three': train_grid}


def fork(fn: Callable[[], None], log: pathlib.Path) -> int:
  """Runs a function in a process of its own, which has imported everything.

  Args:
    fn: the function.
    log: where what the process prints is added.

  Returns:
    The process's id.
  """
  sys.stdout.flush()
  if pid := os.fork():
    return pid
  code = 1
  try:
    with log.open('ab') as f:
      os.dup2(f.fileno(), 1)
      os.dup2(f.fileno(), 2)
    fn()
    code = 0
  except errors.UsageError as e:
    print(f'error: {e}')
    code = 2
  except OSError as e:
    # As main.py says it.
    code = 2 if e.errno == errno.ENOSPC else 1
    traceback.print_exc()
  except BaseException:
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait(pid: int) -> int:
  """Returns the exit status of a process, negative for a signal."""
  return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_operation(
  folder: pathlib.Path, number: int, act: Callable[[], None]
) -> None:
  """Calls `act` just before the file operation of that number in a folder."""
  left = number

  def hook(event: str, args: tuple[Any, ...]) -> None:
    nonlocal left
    if event not in _WRITES or not str(args[0]).startswith(str(folder)):
      return
    if event == 'open' and not (args[1] and set(args[1]) & set('wax+')):
      return
    left -= 1
    if left == 0:
      act()

  sys.addaudithook(hook)


def die() -> None:
  """Ends this process as a power cut would."""
  os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
  """Lets a file operation fail as on a full disk."""
  raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def results(folder: pathlib.Path) -> dict[str, Any]:
  """Returns what must not depend on interruptions, for each run in a folder."""
  found = {}
  for path in sorted(folder.rglob('config.json')):
    one = path.parent
    rows = runs.metrics.read(one)
    done = runs.done(one) or {}
    rows += [done.get('best', {}), done.get('last', {})]
    found[one.name if one != folder else ''] = {
      'nets': [
        checksums.of_tree(runs.checkpoint.load_net(one, which))
        for which in ('best', 'last')
      ],
      'rows': [
        {k: v for k, v in row.items() if k not in _TIMING} for row in rows
      ],
    }
  return found


def finish(
  kind: str, folder: pathlib.Path, log: pathlib.Path
) -> tuple[int, Any]:
  """Trains to the end; returns the exit status and the results."""
  out = folder.parent / 'results.json'
  out.unlink(missing_ok=True)

  def run() -> None:
    KINDS[kind](folder)
    out.write_text(json.dumps(results(folder)))

  code = wait(fork(run, log))
  return code, json.loads(out.read_text()) if code == 0 else None


def kills(
  kind: str, count: int, root: pathlib.Path, rng: random.Random
) -> dict[str, int]:
  """Disturbs runs `count` times, and counts how they end."""
  found = collections.Counter(kills=0, runs=0, same=0, different=0, stopped=0)
  if not count:
    return dict(found)
  code, want = finish(kind, root / 'whole', root / 'log')
  assert code == 0, (root / 'log').read_text()
  start = time.perf_counter()  # now that the programs are compiled
  assert finish(kind, root / 'again', root / 'log') == (0, want)
  seconds = time.perf_counter() - start
  while found['kills'] < count:
    folder = root / 'run'
    shutil.rmtree(folder, ignore_errors=True)
    for _ in range(rng.randint(1, 3)):
      after = rng.uniform(0.1, 1.0) * seconds
      if not _disturb(kind, folder, root / 'log', after, rng):
        break
      found['kills'] += 1
    code, have = finish(kind, folder, root / 'log')
    found['runs'] += 1
    found['same' if have == want else 'different' if have else 'stopped'] += 1
    if have != want:
      print(f'{kind}: exit status {code}, see {_keep(folder)}', flush=True)
  return dict(found)


def _disturb(
  kind: str,
  folder: pathlib.Path,
  log: pathlib.Path,
  seconds: float,
  rng: random.Random,
) -> bool:
  """Trains until a file operation, or a moment, that is drawn by chance.

  Returns:
    Whether the process has not come to its end.
  """
  how = rng.choice(('moment', 'operation', 'full'))
  number = int(rng.expovariate(1 / 40)) + 1

  def run() -> None:
    if how != 'moment':
      at_operation(folder, number, die if how == 'operation' else full)
    KINDS[kind](folder)

  pid = fork(run, log)
  end = time.perf_counter() + seconds
  while time.perf_counter() < end:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
      return status != 0
    time.sleep(0.005)
  os.kill(pid, signal.SIGKILL)
  return wait(pid) != 0


def _keep(folder: pathlib.Path) -> pathlib.Path:
  kept = pathlib.Path(tempfile.mkdtemp(prefix='chaos_'))
  shutil.copytree(folder, kept / 'run', dirs_exist_ok=True)
  shutil.copy(folder.parent / 'log', kept)
  return kept


def damage(folder: pathlib.Path, rng: random.Random) -> str:
  """Damages a file of a run folder; returns what was done."""
  files = [p for p in sorted(folder.rglob('*')) if p.is_file()]
  path = rng.choice([p for p in files if p.stat().st_size])
  content = bytearray(path.read_bytes())
  at = rng.randrange(len(content))
  how = rng.choice(('bit', 'bit', 'zeros', 'cut', 'twice', 'deleted'))
  if how == 'bit':
    content[at] ^= 1 << rng.randrange(8)
  elif how == 'zeros':
    end = min(len(content), at + 512)
    content[at:end] = bytes(end - at)
  elif how == 'cut':
    del content[at:]
  elif how == 'twice':
    content[at:at] = content[:at]
  path.unlink()
  if how != 'deleted':
    path.write_bytes(content)
  return f'{how}: {path.relative_to(folder)}'


def damages(
  count: int, root: pathlib.Path, rng: random.Random
) -> dict[str, int]:
  """Damages run folders; returns what became of the runs."""
  code, want = finish('single runs', root / 'whole', root / 'log')
  assert code == 0, (root / 'log').read_text()
  out, warned = root / 'damages.json', []

  def warn(text: str, *args: Any) -> None:
    warned.append(text % args)
    print(warned[-1])

  def run() -> None:
    logging.warning = warn  # as our own code calls it
    found = collections.Counter(
      damaged=0, same=0, said=0, different=0, traceback=0
    )
    for i in range(count):
      folder = root / f'damaged_{i}'  # each state of a file is warned of once
      shutil.copytree(root / 'whole', folder)
      if rng.random() < 0.5:
        (folder / 'done.json').unlink()
      what = damage(folder, rng)
      warned.clear()
      try:
        train_single(folder)
        end = 'same' if _json(results(folder)) == want else 'different'
        if end == 'different' and warned:
          end = 'said'
      except errors.UsageError:
        end = 'said'
      except Exception:
        traceback.print_exc()
        end = 'traceback'
      found['damaged'] += 1
      found[end] += 1
      shutil.rmtree(folder)
      print(f'damage: {end}: {what}', flush=True)
    out.write_text(json.dumps(found))

  assert wait(fork(run, root / 'log')) == 0, (root / 'log').read_text()
  return json.loads(out.read_text())


def _json(content: Any) -> Any:
  return json.loads(json.dumps(content))


def configs(
  count: int, root: pathlib.Path, rng: random.Random
) -> dict[str, int]:
  """Builds programs from senseless configs; returns what became of these."""
  out = root / 'configs.json'

  def run() -> None:
    found = collections.Counter(configs=0, refused=0, built=0, traceback=0)
    fields = _flat(config())
    for _ in range(count):
      changed = {
        rng.choice(fields): rng.choice(_NONSENSE)
        for _ in range(rng.randint(1, 3))
      }
      found['configs'] += 1
      found[_build(changed)] += 1
    out.write_text(json.dumps(found))

  assert wait(fork(run, root / 'log')) == 0, (root / 'log').read_text()
  return json.loads(out.read_text())


def _build(changed: dict[str, Any]) -> str:
  """Returns what happens when a config is checked and its program is built."""
  try:
    c = config(**changed)
  # main.py says these in one sentence.
  except (TypeError, ValueError, KeyError, AttributeError):
    return 'refused'
  try:
    train.check.check(c)
    train.trainer.setup(c, data.load(c.data))
  except errors.UsageError:
    return 'refused'
  except Exception:
    print(changed)
    traceback.print_exc()
    return 'traceback'
  return 'built'


def _flat(c: base.Config, prefix: str = '') -> list[str]:
  found = []
  for name, value in c.items():
    if isinstance(value, base.Config):
      found += _flat(value, f'{prefix}{name}.')
    else:
      found.append(prefix + name)
  return found


@contextlib.contextmanager
def scratch() -> Iterator[pathlib.Path]:
  """Yields a folder for runs, with a cache of compiled programs."""
  with tempfile.TemporaryDirectory(prefix='chaos_') as folder:
    jax.config.update('jax_compilation_cache_dir', f'{folder}/xla')
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
    yield pathlib.Path(folder)


def main(argv: list[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=200)
  parser.add_argument('--damages', type=int, default=400)
  parser.add_argument('--configs', type=int, default=2000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--out', help='a JSON file for the results')
  args = parser.parse_args(argv)
  rng = random.Random(args.seed)
  logging.set_verbosity(logging.ERROR)
  found = {}
  with scratch() as root:
    for kind in KINDS:
      folder = root / kind.replace(' ', '_')
      folder.mkdir()
      found[kind] = kills(kind, args.kills // len(KINDS), folder, rng)
      print(kind, found[kind], flush=True)
    for name, act, count in (
      ('damaged folders', damages, args.damages),
      ('senseless configs', configs, args.configs),
    ):
      folder = root / name.replace(' ', '_')
      folder.mkdir()
      found[name] = act(count, folder, rng)
      print(name, found[name], flush=True)
      if found[name]['traceback'] or found[name].get('different'):
        print((folder / 'log').read_text())
  interleave.finish(args.out, [{'case': k, **row} for k, row in found.items()])
  wrong = sum(
    f.get('different', 0) + f.get('traceback', 0) for f in found.values()
  )
  return bool(wrong)


if __name__ == '__main__':
  sys.exit(main())
