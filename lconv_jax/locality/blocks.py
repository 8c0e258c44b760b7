"""Functions of many filters, computed block by block in threads."""

import concurrent.futures
import os
from collections.abc import Callable

import numpy as np


def in_blocks(
  fn: Callable[[slice], np.ndarray], count: int, size: int
) -> np.ndarray:
  """Returns fn's results for slices of at most `size` of `count`, in one array.

  Threads run at the same time, as NumPy releases the interpreter's lock. Each
  has the arrays of one block in memory.
  """
  parts = [slice(i, i + size) for i in range(0, max(1, count), size)]
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    return np.concatenate(list(pool.map(fn, parts)))
