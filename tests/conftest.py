import os
import tempfile

# Before anything imports JAX or reads a cache: tests leave no trace.
_scratch = tempfile.TemporaryDirectory(prefix='lconv_jax_tests_')
os.environ['XDG_CACHE_HOME'] = _scratch.name
os.environ['JAX_PLATFORMS'] = 'cpu'

from jaxtyping import install_import_hook  # noqa: E402

# Array shapes in annotations are checked in tests only.
_hook = install_import_hook('lconv_jax', 'beartype.beartype')
import jax  # noqa: E402
import pytest  # noqa: E402

import lconv_jax  # noqa: E402, F401

# The same small programs are compiled in many tests.
jax.config.update('jax_compilation_cache_dir', f'{_scratch.name}/xla')
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


@pytest.fixture(scope='module', autouse=True)
def compiled():
  """Compiled programs of other files only take memory."""
  yield
  jax.clear_caches()
