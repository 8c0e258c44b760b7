"""Devices: the one file that knows how a step is spread over them.

Everything else knows an axis name only. Under `jax.pmap` every array has a
leading axis of the devices.
"""

import contextlib
import math
import pathlib
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import PyTree

AXIS = 'devices'


def pmap(fn: Callable, donate_argnums: tuple[int, ...] = ()) -> Callable:
  """Runs `fn` on every device of every process; the axis is called `AXIS`.

  Every process calls it, with arguments for its own devices, and gets what they
  computed.
  """
  return jax.pmap(fn, axis_name=AXIS, donate_argnums=donate_argnums)


def compiled(fn: Callable, args: PyTree) -> jax.stages.Compiled:
  """Compiles what `pmap` returned, without any arrays.

  Args:
    fn: from `pmap`.
    args: its arguments, or their shapes and dtypes on one device.
  """
  devices = jax.local_device_count()
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((devices, *x.shape), x.dtype), args
  )
  return fn.lower(*shapes).compile()


def shapes(tree: PyTree) -> PyTree:
  """Returns shapes and dtypes on one device of arrays that are on all."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree
  )


def needed_memory(fn: jax.stages.Compiled) -> int:
  """Returns the bytes that a device needs for a call, arguments included."""
  m = fn.memory_analysis()
  return (
    m.argument_size_in_bytes
    + m.output_size_in_bytes
    + m.temp_size_in_bytes
    - m.alias_size_in_bytes
  )


def free_memory() -> float:
  """Returns how many bytes a device has left; infinity where nobody knows."""
  device = jax.local_devices()[0]
  if stats := device.memory_stats():
    return stats['bytes_limit'] - stats['bytes_in_use']
  if device.platform == 'cpu':  # whose devices share it
    with contextlib.suppress(OSError):
      for line in pathlib.Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable:'):
          return int(line.split()[1]) * 1024 / jax.local_device_count()
  return math.inf


def device_count() -> int:
  """Returns over how many devices a batch is divided, of all processes."""
  return jax.device_count()


def replicate(tree: PyTree) -> PyTree:
  """Copies host arrays to every local device, as `pmap` wants arguments."""
  devices = jax.local_devices()
  mesh = Mesh(np.array(devices), (AXIS,))
  sharding = NamedSharding(mesh, PartitionSpec(AXIS))

  def put(x: ArrayLike) -> jax.Array:
    x = np.asarray(x)
    return jax.device_put(
      np.broadcast_to(x, (len(devices), *x.shape)), sharding
    )

  return jax.tree.map(put, tree)


def unreplicate(tree: PyTree) -> PyTree:
  """Returns the first local device's copy as NumPy arrays."""
  # Indexing the whole array would gather it from every device first.
  return jax.tree.map(lambda x: jax.device_get(x.addressable_data(0))[0], tree)
