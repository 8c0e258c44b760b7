r"""Runs a grid by XManager, on this machine or on Vertex AI.

  xmanager launch launch/xm_launch.py -- --grid=sgd --root=runs/sgd \
    --requirements=local_gpu=1
  xmanager launch launch/xm_launch.py -- --grid=sgd --root=runs/sgd \
    --executor=vertex --remote_root=/gcs/BUCKET/sgd --requirements=a100=1

Each point is a work unit; on this machine they run one after the other.
Repeating the command starts the points that are neither finished nor submitted
to Vertex AI. See docs/clouds.md.
"""

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence

from absl import flags
from xmanager import xm, xm_local
from xmanager.cloud import docker_lib

# `xmanager launch` makes only this file's folder importable, and removes the
# first entry afterwards, so this one comes last.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from launch import checkout, container, options, roots, sweep
from lconv_jax import errors

_GRID = flags.DEFINE_string('grid', None, 'Of configs/grids, or a .py file.')
_ROOT = flags.DEFINE_string('root', None, 'The folder of all runs.')
_CONFIG = flags.DEFINE_string(
  'config', None, "A config file; default: the grid's own."
)
_SEEDS = flags.DEFINE_string(
  'seeds', None, 'Run every point with each, such as 0,1,2.'
)
_OVERRIDE = flags.DEFINE_multi_string(
  'override', [], 'FIELD=VALUE, of every point; may be repeated.'
)
_EXECUTOR = flags.DEFINE_enum(
  'executor', 'local', ['local', 'vertex'], 'Where points are run.'
)
_REMOTE_ROOT = flags.DEFINE_string(
  'remote_root',
  None,
  'The root as Vertex AI sees it: /gcs/BUCKET/FOLDER. Without it, nothing '
  'would be left of a run there.',
)
_REQUIREMENTS = flags.DEFINE_list(
  'requirements',
  [],
  "XManager's NAME=AMOUNT, for example a100=1 or tpu_v3=8; local_gpu=1 for "
  'this machine.',
)
_PUSH_IMAGE_TAG = flags.DEFINE_string(
  'push_image_tag', None, 'Where the image for Vertex AI is pushed.'
)
_RESUBMIT = flags.DEFINE_bool(
  'resubmit', False, 'Submit again what has ended without being finished.'
)
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print what would be run.')

_SUBMITTED = 'vertex.txt'


@xm.run_in_asyncio_loop
async def main(argv: Sequence[str]) -> None:
  """Runs or submits the points of a grid."""
  if len(argv) > 1:
    sys.exit(f'error: unknown arguments {" ".join(argv[1:])}; see --help.')
  made = options.parser('launch.xm_launch', __doc__)
  made.usage = 'xmanager launch launch/xm_launch.py -- --grid=... --root=...'
  parsed, whole = options.parse(made, _words())
  root = parsed.root.absolute()
  vertex = _EXECUTOR.value == 'vertex'
  try:
    executor = _executor(whole, root)
    skipped = _submitted(root) if vertex and not _RESUBMIT.value else []
    todo = [n for n in roots.unfinished(root, whole) if n not in skipped]
    print(f'{len(todo)} of {len(whole.points)} points to run.')
    where = _REMOTE_ROOT.value or root
    args = {name: sweep.flags(whole, name, where) for name in todo}
    if _DRY_RUN.value:
      print(*(' '.join(words) for words in args.values()), sep='\n')
      return
    roots.claim(root, whole)
    if todo:
      await _run(executor, root, args)
  except (RuntimeError, ValueError) as e:  # XManager's messages, too
    sys.exit(f'error: {errors.one_line(e)}')
  failed = [name for name in todo if not roots.finished(root, name)]
  if failed and not vertex:
    sys.exit(
      f'error: {len(failed)} of {len(todo)} points are not finished, such as '
      f'{failed[0]}; the same command continues them.'
    )


async def _run(
  executor: xm.Executor, root: pathlib.Path, args: Mapping[str, list[str]]
) -> None:
  """Adds a job for each point, by name, to an experiment."""
  async with xm_local.create_experiment(root.name) as experiment:
    executable = _package(experiment, executor)
    for name, words in args.items():
      if isinstance(executor, xm_local.Vertex):
        await experiment.add(xm.Job(executable, executor, args=words))
        with (root / _SUBMITTED).open('a', encoding='utf-8') as f:
          f.write(f'{name}\n')
      else:
        env = container.environment(root)
        job = xm.Job(executable, executor, args=words, env_vars=env)
        # At once, they would share the accelerator.
        await (await experiment.add(job)).wait_until_complete()


def _words() -> list[str]:
  """Returns the flags as the command line that launchers share."""
  if not _GRID.value or not _ROOT.value:
    sys.exit('error: --grid or --root is missing; see --help.')
  return [
    _GRID.value,
    f'--root={_ROOT.value}',
    *([f'--config={_CONFIG.value}'] if _CONFIG.value else []),
    *([f'--seeds={_SEEDS.value}'] if _SEEDS.value else []),
    *(f'--config.{word}' for word in _OVERRIDE.value),
  ]


def _executor(whole: sweep.Sweep, root: pathlib.Path) -> xm.Executor:
  pairs = [word.partition('=')[::2] for word in _REQUIREMENTS.value]
  try:
    requirements = xm.JobRequirements(**dict(pairs))
  except (KeyError, ValueError) as e:
    raise ValueError(f'--requirements: {e.args[0].rstrip(".")}.') from e
  if _EXECUTOR.value == 'vertex':
    if not (_REMOTE_ROOT.value or '').startswith('/gcs/'):
      raise ValueError(
        '--executor=vertex needs --remote_root=/gcs/BUCKET/FOLDER, or nothing '
        'is left of its runs.'
      )
    return xm_local.Vertex(requirements)
  if _REMOTE_ROOT.value:
    raise ValueError('--remote_root is for --executor=vertex alone.')
  folders = container.folders(whole, root)
  if not docker_lib.is_docker_installed():
    raise ValueError(
      'Docker is not running here, or not for you; XManager needs it.'
    )
  return xm_local.Local(
    requirements,
    docker_options=xm_local.DockerOptions(volumes={f: f for f in folders}),
  )


def _package(experiment: xm.Experiment, executor: xm.Executor) -> xm.Executable:
  """Builds the image of the last commit, which runs record."""
  accelerator = executor.requirements.accelerator
  extras = '[all,cuda12]' if accelerator else '[all]'
  if accelerator in xm.TpuType:
    extras = '[all,tpu]'
  spec = executor.Spec()
  if _PUSH_IMAGE_TAG.value:
    spec.push_image_tag = _PUSH_IMAGE_TAG.value
  with tempfile.TemporaryDirectory() as folder:
    packaged = experiment.package(
      [
        xm.python_container(
          executor_spec=spec,
          path=str(checkout.clone(folder)),
          base_image='python:3.12',
          docker_instructions=[
            'WORKDIR /lconv_jax',
            'COPY lconv_jax/setup.py .',
            f'RUN pip install --no-cache-dir .{extras}',
            'COPY lconv_jax .',
          ],
          # Without `exec`, SIGTERM would not reach the training.
          entrypoint=xm.CommandList(['exec python main.py "$@"']),
        )
      ]
    )
  return packaged[0]


def _submitted(root: pathlib.Path) -> list[str]:
  with contextlib.suppress(FileNotFoundError):
    return (root / _SUBMITTED).read_text(encoding='utf-8').splitlines()
  return []
