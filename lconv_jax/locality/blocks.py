"""Many filters, a block at a time, in threads."""

import concurrent.futures
import os
from collections.abc import Callable

import numpy as np


def in_blocks(
  fn: Callable[[slice], np.ndarray], count: int, size: int
) -> np.ndarray:
  """Returns fn's results for slices of at most `size` of `count`, in one array.

  NumPy lets go of the interpreter in what takes the time. A block's arrays are
  all that is in memory at once, for each thread.
  """
  parts = [slice(i, i + size) for i in range(0, max(1, count), size)]
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    return np.concatenate(list(pool.map(fn, parts)))
