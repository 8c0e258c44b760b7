"""Packaging of lconv_jax; tool settings live in pyproject.toml."""

import pathlib

import setuptools

ROOT = pathlib.Path(__file__).parent
# Container images install the requirements first, with this file alone.
README = ROOT / 'README.md'

TESTS = [
  'beartype',
  'hypothesis',
  'ipykernel',  # runs the notebook
  'mpmath',
  'nbclient',
  'pillow',
  'pytest',
  'pytest-xdist',
  'ruff',
  'scikit-learn',
]

setuptools.setup(
  name='lconv_jax',
  version='0.1.0',
  description='Learning convolutions from scratch: beta-LASSO in JAX',
  long_description=(
    README.read_text(encoding='utf-8') if README.exists() else ''
  ),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  python_requires='>=3.11',
  packages=setuptools.find_packages(include=['lconv_jax', 'lconv_jax.*']),
  package_data={'lconv_jax.augment': ['policies/*']},
  install_requires=[
    'absl-py',
    'array_record',  # the file format that tfds reads without TensorFlow
    'clu',
    # Range coder of mdl, whose rounding is part of the file format.
    'constriction>=0.5,<0.6',
    'flax',
    # tensorflow-datasets 4.9.10 needs it to prepare data, undeclared.
    'importlib_resources',
    'jax>=0.10',
    'jaxtyping',
    'matplotlib',
    'ml-collections',
    'numpy',
    'optax',
    'orbax-checkpoint',
    'rich',
    'scipy',
    'tensorboard',  # clu needs it, undeclared
    # clu writes TensorBoard events, and tfds reads TFRecords, through it.
    'tensorflow; sys_platform != "linux" or platform_machine != "x86_64"',
    'tensorflow-cpu; sys_platform == "linux" and platform_machine == "x86_64"',
    'tensorflow-datasets',
  ],
  extras_require={
    'test': TESTS,
    'bench': ['torch'],  # a peer
    'cuda12': ['jax[cuda12]'],
    'cuda13': ['jax[cuda13]'],
    'tpu': ['jax[tpu]'],
    # Caliban installs one of these two by itself; google-auth is what its
    # launcher in the container imports.
    'cpu': ['google-auth'],
    'gpu': ['google-auth', 'jax[cuda12]'],
  },
)
