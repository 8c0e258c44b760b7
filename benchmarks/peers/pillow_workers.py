"""Pillow's augmentation in worker processes, as a data loader runs it.

A worker receives the images once, and what it computes goes to shared memory.
Only indices are pickled in each batch, so workers cannot be faster.
"""

import collections
import contextlib
import ctypes
import multiprocessing
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.peers import pillow_augment

# Indices of images [b] of each batch -> the batches, float32 [b, h, w, 3].
Batches = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]

_AHEAD = 2  # batches that are made while one is in use

_worker = {}  # state of a worker process


@contextlib.contextmanager
def start(
  images: np.ndarray, args: tuple[Any, ...], workers: int, batch: int
) -> Iterator[Batches]:
  """Starts workers, and stops them in the end.

  Args:
    images: uint8 [n, h, w, 3].
    args: policy, mean and std, as `pillow_augment.at_random` takes them.
    workers: the number of processes; each augments its share of every batch.
    batch: the largest number of images in a batch.

  Yields:
    A function that augments batches, two of them ahead of the one in use, which
    is valid until the next one is requested. Workers are idle until the first
    batch is requested, and after they have made the last one.
  """
  shape = _AHEAD + 1, batch, *images.shape[1:]
  context = multiprocessing.get_context('spawn')  # JAX does not survive a fork
  memory = context.RawArray(ctypes.c_float, int(np.prod(shape)))
  slots = np.frombuffer(memory, np.float32).reshape(shape)

  def batches(index: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    pending = collections.deque()

    def take() -> np.ndarray:
      slot, count, done = pending.popleft()
      done.get()
      return slots[slot, :count]

    for i, chosen in enumerate(index):
      slot = i % len(slots)
      parts = _parts(chosen, slot, workers)
      pending.append(
        (slot, len(chosen), pool.map_async(_augment, parts, chunksize=1))
      )
      if len(pending) > _AHEAD:
        yield take()
    while pending:
      yield take()

  with context.Pool(workers, _set_up, (memory, shape, images, args)) as pool:
    yield batches


def _parts(
  index: np.ndarray, slot: int, workers: int
) -> list[tuple[int, int, np.ndarray]]:
  """Returns slot, place in the batch and indices of each worker's share."""
  ends = [len(index) * i // workers for i in range(workers)]
  shares = np.split(index, ends[1:])
  return [(slot, first, s) for first, s in zip(ends, shares, strict=True)]


def _set_up(
  memory: ctypes.Array,
  shape: tuple[int, ...],
  images: np.ndarray,
  args: tuple[Any, ...],
) -> None:
  slots = np.frombuffer(memory, np.float32).reshape(shape)
  _worker.update(images=images, args=(random.Random(), *args), slots=slots)


def _augment(part: tuple[int, int, np.ndarray]) -> None:
  slot, first, index = part
  images, args = _worker['images'], _worker['args']
  for place, i in enumerate(index, start=first):
    _worker['slots'][slot, place] = pillow_augment.at_random(images[i], *args)
