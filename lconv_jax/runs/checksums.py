"""Checksums, by which damage on a disk is told from what was written there."""

import concurrent.futures
import json
import zlib
from typing import Any

import numpy as np
from flax import serialization, traverse_util
from jaxtyping import PyTree


def of_array(x: Any) -> str:
  """Returns dtype, shape and CRC-32 of an array or a scalar, as text."""
  x = np.asarray(x)
  content = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
  return f'{x.dtype}{list(x.shape)} {zlib.crc32(content):08x}'


def of_tree(tree: PyTree) -> dict[str, str]:
  """Returns the checksums of a tree's arrays, by their paths."""
  flat = traverse_util.flatten_dict(serialization.to_state_dict(tree), sep='/')
  flat = {name: x for name, x in flat.items() if x is not None}
  # CRC-32 lets other threads run, and a large net has gigabytes.
  with concurrent.futures.ThreadPoolExecutor() as pool:
    return dict(zip(flat, pool.map(of_array, flat.values()), strict=True))


def of_json(content: Any) -> str:
  """Returns the CRC-32 of what JSON can hold."""
  return f'{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}'
