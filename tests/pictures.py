"""Images on which roundings show, for the tests of augmentation."""

import functools

import numpy as np
import sklearn.datasets


@functools.cache
def images(count, height, width):
  """Random, natural, constant, two-valued and saturated images, shuffled."""
  rs = np.random.RandomState(0)
  n = -(-count // 5)
  shape = n, height, width, 3
  level = rs.randint(0, 256, (4, n, 1, 1, 3))
  share = rs.rand(n, 1, 1, 1)
  wide = rs.normal(128, rs.uniform(5, 300, (n, 1, 1, 1)), shape)
  kinds = [
    # Channels with ranges of their own.
    np.sort(level[:2], axis=0)[0]
    + rs.rand(*shape) * (1 + abs(level[1] - level[0])),
    natural(rs, shape),
    np.broadcast_to(level[2], shape),
    np.where(rs.rand(n, height, width, 1) < share, level[2], level[3]),
    wide.clip(0, 255),
  ]
  kinds = [np.uint8(np.minimum(kind, 255)) for kind in kinds]
  return rs.permutation(np.concatenate(kinds))[:count]


def natural(rs, shape):
  """Pieces of scikit-learn's two photographs, some at half their size."""
  photos = sklearn.datasets.load_sample_images().images
  n, height, width, _ = shape
  result = np.empty(shape, np.uint8)
  for i in range(n):
    photo = photos[i % 2][:: 1 + i % 3 // 2, :: 1 + i % 3 // 2]
    y = rs.randint(max(1, photo.shape[0] - height))
    x = rs.randint(max(1, photo.shape[1] - width))
    piece = photo[y : y + height, x : x + width]
    pad = height - piece.shape[0], width - piece.shape[1]
    result[i] = np.pad(piece, ((0, pad[0]), (0, pad[1]), (0, 0)), 'reflect')
  return result


def count_differing(a, b):
  return int((np.asarray(a) != b).any((1, 2, 3)).sum())
