"""Nets that leave the house: files of a run's best net, and their runner.

`SparseNet` runs a net that `python -m lconv_jax.export` has written as .npz; it
needs NumPy and SciPy alone, and so does importing this room. The modules that
write files (`steps`, `units`, `sparse_file`, `torch_file`, `onnx_file`) need
JAX.
"""

from lconv_jax.export.sparse_net import SparseNet

__all__ = ['SparseNet']
