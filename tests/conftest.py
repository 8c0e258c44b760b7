import os
import pathlib
import sys
import tempfile

# Before anything imports JAX or reads a cache: tests leave no trace. Workers
# share what one of them has compiled.
if 'PYTEST_XDIST_WORKER' not in os.environ:
  _scratch = tempfile.TemporaryDirectory(prefix='lconv_jax_tests_')
  os.environ['XDG_CACHE_HOME'] = _scratch.name
elif hasattr(os, 'sched_setaffinity'):
  # A core for each worker: threads of several workers on the same cores mostly
  # wait for each other.
  _cores = sorted(os.sched_getaffinity(0))
  _worker = int(os.environ['PYTEST_XDIST_WORKER'].removeprefix('gw'))
  os.sched_setaffinity(0, [_cores[_worker % len(_cores)]])
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['JAX_COMPILATION_CACHE_DIR'] = f'{os.environ["XDG_CACHE_HOME"]}/xla'
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
# Compiling takes most of the time. Files whose subject is arithmetic, down to
# its last bit, compile as users do: they ask for the fixture `optimised`.
os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'

# Importing TensorFlow takes seconds, here and in every process of a test: those
# that are about it ask for the fixture `tensorflow`.
_HIDDEN = str(pathlib.Path(__file__).parent / 'without_tensorflow')
_PATH = os.environ.get('PYTHONPATH')
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, (_HIDDEN, _PATH)))
sys.path.insert(0, _HIDDEN)

from jaxtyping import install_import_hook  # noqa: E402

# Array shapes in annotations are checked in tests only.
_hook = install_import_hook('lconv_jax', 'beartype.beartype')
import jax  # noqa: E402
import pytest  # noqa: E402

from lconv_jax.locality import log  # noqa: E402

# At its end, a run compares its filters with so many shuffled ones that this
# takes longer than training a test's net. Files about that say `whole_null`.
_WHOLE_NULL = {'_DRAWS': log._DRAWS, '_COMPARED': log._COMPARED}
log._DRAWS, log._COMPARED = 20, 5


# The files that take longest. They come first, so that at the end no worker is
# left alone with one.
_LONGEST = (
  'test_side_by_side', 'test_hosts', 'test_launch', 'test_extending',
  'test_warm_start', 'test_notebook', 'test_step', 'test_gpu_suite',
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Sorts files by how long they take."""
  rank = {name: i for i, name in enumerate(_LONGEST)}
  items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope='module', autouse=True)
def compiled():
  """Compiled programs of other files only take memory."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='module')
def optimised():
  """Compiles what a file runs in this process with all of XLA's passes."""
  jax.config.update('jax_disable_most_optimizations', False)
  yield
  jax.config.update('jax_disable_most_optimizations', True)


@pytest.fixture(scope='module')
def whole_null():
  """Compares filters of runs in this process with as many as users do."""
  with pytest.MonkeyPatch.context() as patch:
    for name, value in _WHOLE_NULL.items():
      patch.setattr(log, name, value)
    yield


@pytest.fixture(scope='module')
def tensorflow():
  """Lets a file, and the processes that it starts, import TensorFlow."""
  from lconv_jax.runs import metrics

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, 'path', [p for p in sys.path if p != _HIDDEN])
    if _PATH:
      patch.setenv('PYTHONPATH', _PATH)
    else:
      patch.delenv('PYTHONPATH')
    metrics._summary_writer.cache_clear()
    yield
  metrics._summary_writer.cache_clear()
