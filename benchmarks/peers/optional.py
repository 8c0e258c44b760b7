"""Imports the peers in PyTorch, where they can be compared."""

import importlib
import os
import types

import jax


def torch_peer(name: str) -> types.ModuleType | None:
  """Imports a module of `benchmarks.peers` that needs PyTorch.

  Args:
    name: the module's name without its package.

  Returns:
    The module, with PyTorch set to use all cores. None, after saying why, if
    PyTorch is missing or JAX runs on an accelerator.
  """
  if jax.default_backend() != 'cpu':
    print('PyTorch is compared on the CPU only, so its rows are left out.')
    return None
  # Otherwise its threads would spin while the others are timed.
  os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
  try:
    import torch

    module = importlib.import_module(f'benchmarks.peers.{name}')
  except ImportError as e:
    print(f'PyTorch cannot be imported ({e}), so its rows are left out.')
    return None
  torch.set_num_threads(os.cpu_count() or 1)
  return module
