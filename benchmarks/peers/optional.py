"""The peers in PyTorch, where they can be compared."""

import importlib
import os
import types

import jax


def torch_peer(name: str) -> types.ModuleType | None:
  """Imports a module of `benchmarks.peers` that needs PyTorch.

  Args:
    name: of the module, without the package.

  Returns:
    The module, PyTorch set to use all cores; None, after saying why, where
    PyTorch is missing or ours run on an accelerator.
  """
  if jax.default_backend() != 'cpu':
    print('PyTorch is compared on CPU only: its rows are left out.')
    return None
  # Or its threads would spin while the others are measured.
  os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
  try:
    import torch

    module = importlib.import_module(f'benchmarks.peers.{name}')
  except ImportError as e:
    print(f'PyTorch cannot be imported ({e}): its rows are left out.')
    return None
  torch.set_num_threads(os.cpu_count() or 1)
  return module
