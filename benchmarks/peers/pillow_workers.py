"""Pillow's augmentation in worker processes, as a data loader runs it.

Images are there once, as in a data set that a loader has forked; what workers
compute goes into shared memory. Nothing is pickled but indices, so that this is
the fastest that workers can be.
"""

import collections
import contextlib
import ctypes
import multiprocessing
import random
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from benchmarks.peers import pillow_augment
from lconv_jax.augment import policy

# Indices of images [b] of each batch -> the batches, float32 [b, h, w, 3].
Batches = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]

_AHEAD = 2  # batches that are made while one is in use

_worker = {}  # what a process has, once it is set up


@contextlib.contextmanager
def start(
  images: np.ndarray,
  sub_policies: policy.Policy,
  mean: np.ndarray,
  std: np.ndarray,
  workers: int,
  batch: int,
) -> Iterator[Batches]:
  """Starts workers, and stops them in the end.

  Args:
    images: uint8 [n, h, w, 3].
    sub_policies: a policy.
    mean: float32 [3], of pixels in [0, 1].
    std: float32 [3], likewise.
    workers: how many processes; each augments its share of every batch.
    batch: images in a batch, at most.

  Yields:
    What augments batches, two of them ahead of the one that is in use: that one
    is valid until the next one is asked for. Workers are idle before the first
    batch is asked for, and once all are made.
  """
  shape = _AHEAD + 1, batch, *images.shape[1:]
  context = multiprocessing.get_context('spawn')  # forks and JAX do not agree
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

  args = memory, shape, images, sub_policies, mean, std
  with context.Pool(workers, _set_up, args) as pool:
    yield batches


def _parts(
  index: np.ndarray, slot: int, workers: int
) -> list[tuple[int, int, np.ndarray]]:
  """Returns slot, place in the batch and images of each worker's share."""
  ends = [len(index) * i // workers for i in range(workers)]
  shares = np.split(index, ends[1:])
  return [(slot, first, s) for first, s in zip(ends, shares, strict=True)]


def _set_up(
  memory: ctypes.Array,
  shape: tuple[int, ...],
  images: np.ndarray,
  *args: object,
) -> None:
  slots = np.frombuffer(memory, np.float32).reshape(shape)
  _worker.update(images=images, slots=slots, args=args, rng=random.Random())


def _augment(part: tuple[int, int, np.ndarray]) -> None:
  slot, first, index = part
  sub_policies, mean, std = _worker['args']
  for place, i in enumerate(index, start=first):
    _worker['slots'][slot, place] = pillow_augment.at_random(
      _worker['images'][i], sub_policies, _worker['rng'], mean, std
    )
