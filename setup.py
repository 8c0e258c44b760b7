"""Packaging of lconv_jax; tool settings live in pyproject.toml."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
# Container images install the requirements first, with this file alone.
README = ROOT / 'README.md'
INIT = ROOT / 'lconv_jax' / '__init__.py'

# Theorem 2. The range coder's rounding is part of the file format.
MDL = ['constriction>=0.5,<0.6']

# main.py, the launchers and whatever reads a run folder or draws.
TRAIN = [
  'absl-py',
  'array_record',  # the file format that tfds reads without TensorFlow
  'clu',
  # tensorflow-datasets 4.9.10 needs it to prepare data, undeclared.
  'importlib_resources',
  'matplotlib',
  'ml-collections',
  'orbax-checkpoint',
  'rich',
  'tensorflow-datasets',
]

# With TensorFlow clu writes TensorBoard events, and tfds prepares downloads and
# reads TFRecords.
TENSORBOARD = [
  *TRAIN,
  'tensorboard',  # clu needs it, undeclared
  'tensorflow; sys_platform != "linux" or platform_machine != "x86_64"',
  'tensorflow-cpu; sys_platform == "linux" and platform_machine == "x86_64"',
]

# Files of nets that other programs read, and pictures to predict on.
EXPORT = ['onnx', 'onnxruntime', 'pillow', 'safetensors']

ALL = [*EXPORT, *MDL, *TENSORBOARD]

TEST = [
  *ALL,
  'beartype',
  'hypothesis',
  'ipykernel',  # runs the notebook
  'mpmath',
  'nbclient',
  'pytest',
  'pytest-xdist>=3.7',  # --no-loadscope-reorder
  'ruff',
  'scikit-learn',
]


def version() -> str:
  """Returns the version that the package states, without importing it."""
  if not INIT.exists():
    return '0'
  return re.search(r"__version__ = '(.+)'", INIT.read_text('utf-8'))[1]


setuptools.setup(
  name='lconv_jax',
  version=version(),
  description='Learning convolutions from scratch: beta-LASSO in JAX',
  long_description=(
    README.read_text(encoding='utf-8') if README.exists() else ''
  ),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  python_requires='>=3.11',
  packages=setuptools.find_packages(include=['lconv_jax', 'lconv_jax.*']),
  package_data={
    'lconv_jax': ['py.typed'],
    'lconv_jax.augment': ['policies/*'],
  },
  # The layer, the optimiser, the augmentation and the measures of locality.
  install_requires=[
    'flax',
    'jax>=0.10',
    'jaxtyping',
    'numpy',
    'optax',
    'scipy',
  ],
  extras_require={
    'export': EXPORT,
    'mdl': MDL,
    'train': TRAIN,
    'tensorboard': TENSORBOARD,
    'all': ALL,
    'test': TEST,
    'bench': [*ALL, 'torch'],  # a peer
    'cuda12': ['jax[cuda12]'],
    'cuda13': ['jax[cuda13]'],
    'tpu': ['jax[tpu]'],
    # Caliban installs one of these two by itself; google-auth is what its
    # launcher in the container imports.
    'cpu': [*ALL, 'google-auth'],
    'gpu': [*ALL, 'google-auth', 'jax[cuda12]'],
  },
)
