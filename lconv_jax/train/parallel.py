"""Distribution of a step over devices, of which no other file knows more.

The other files know an axis name only. Under `jax.pmap` every array has a
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
  """Maps `fn` over all devices of all processes, along an axis called `AXIS`.

  Every process calls the result with arguments for its own devices, and gets
  what these have computed.
  """
  return jax.pmap(fn, axis_name=AXIS, donate_argnums=donate_argnums)


def compiled(fn: Callable, args: PyTree) -> jax.stages.Compiled:
  """Compiles a function that `pmap` returned.

  Args:
    fn: the function.
    args: its arguments, or their shapes and dtypes, on one device.
  """
  devices = jax.local_device_count()
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((devices, *x.shape), x.dtype), args
  )
  return fn.lower(*shapes).compile()


def shapes(tree: PyTree) -> PyTree:
  """Returns the shapes and dtypes that replicated arrays have on one device."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree
  )


def needed_memory(fn: jax.stages.Compiled) -> int:
  """Returns the bytes that a call needs on each device, arguments included."""
  m = fn.memory_analysis()
  return (
    m.argument_size_in_bytes
    + m.output_size_in_bytes
    + m.temp_size_in_bytes
    - m.alias_size_in_bytes
  )


def free_memory() -> float:
  """Returns how many bytes a device has left, infinity if that is unknown."""
  device = jax.local_devices()[0]
  if stats := device.memory_stats():
    return stats['bytes_limit'] - stats['bytes_in_use']
  if device.platform == 'cpu':  # whose devices share it
    return free_host_memory() / jax.local_device_count()
  return math.inf


def free_host_memory() -> float:
  """Returns how many bytes the host has left, infinity if that is unknown."""
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/meminfo').read_text().splitlines():
      if line.startswith('MemAvailable:'):
        return 1024.0 * int(line.split()[1])
  return math.inf


def device_count() -> int:
  """Returns the number of devices, of all processes, that share a batch."""
  return jax.device_count()


def replicate(tree: PyTree) -> PyTree:
  """Copies host arrays to every local device, as arguments for `pmap`."""
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
