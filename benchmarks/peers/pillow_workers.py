"""Pillow's augmentation in worker processes, as a data loader runs it.

Images are there once, as in a data set that a loader has forked; what workers
compute goes into shared memory. Nothing is pickled but a few numbers, so that
this is the fastest that workers can be.
"""

import itertools
import multiprocessing
import random
from collections.abc import Callable
from multiprocessing import shared_memory

import numpy as np

from benchmarks.peers import pillow_augment
from lconv_jax.augment import policy

_worker = {}  # what a process has, once it is set up


def start(
  images: np.ndarray,
  sub_policies: policy.Policy,
  mean: np.ndarray,
  std: np.ndarray,
  workers: int,
) -> tuple[Callable[[], np.ndarray], Callable[[], None]]:
  """Starts workers.

  Args:
    images: uint8 [b, h, w, 3], a batch.
    sub_policies: a policy.
    mean: float32 [3], of pixels in [0, 1].
    std: float32 [3], likewise.
    workers: how many processes; each augments its share of the batch.

  Returns:
    What augments the batch anew, and what stops the workers.
  """
  memory = shared_memory.SharedMemory(create=True, size=4 * images.size)
  result = np.ndarray(images.shape, np.float32, memory.buf)
  context = multiprocessing.get_context('spawn')  # forks and JAX do not agree
  pool = context.Pool(
    workers, _set_up, (memory.name, images, sub_policies, mean, std)
  )
  ends = [len(images) * i // workers for i in range(workers + 1)]
  parts = list(itertools.pairwise(ends))

  def run() -> np.ndarray:
    pool.map(_augment, parts, chunksize=1)
    return result

  def stop() -> None:
    nonlocal result
    pool.terminate()
    pool.join()
    del result
    memory.close()
    memory.unlink()

  return run, stop


def _set_up(name: str, images: np.ndarray, *args: object) -> None:
  memory = shared_memory.SharedMemory(name)
  result = np.ndarray(images.shape, np.float32, memory.buf)
  rng = random.Random()
  _worker.update(
    memory=memory, images=images, result=result, args=args, rng=rng
  )


def _augment(part: tuple[int, int]) -> None:
  sub_policies, mean, std = _worker['args']
  for i in range(*part):
    _worker['result'][i] = pillow_augment.at_random(
      _worker['images'][i], sub_policies, _worker['rng'], mean, std
    )
