"""Similarity of two pixels: of their weights, or of their values in images."""

import numpy as np
from jaxtyping import Float, Real, UInt8

Similarity = Float[np.ndarray, 'pixels pixels']


def of_weights(
  kernel: Real[np.ndarray, 'inputs units'],
  channels: int,
  signed: bool = True,
) -> Similarity:
  """Returns the cosines of pixels' weight vectors in a dense first layer.

  A pixel's vector holds its weights to all units, of all channels.

  Args:
    kernel: [H*W*C, units], the input flattened in the order H, W, C.
    channels: C.
    signed: False: absolute values are returned, so that pixels with opposite
      weights are similar.

  Returns:
    float64 [H*W, H*W]; pixels without weights have similarity 0 to all others.
  """
  cosines = _cosines(kernel.reshape(len(kernel) // channels, -1))
  return cosines if signed else np.abs(cosines)


def of_images(images: UInt8[np.ndarray, 'n h w c']) -> Similarity:
  """Returns the correlations of pixels' values over images and channels.

  This needs no net: it is the baseline (Le Roux et al., 2007). Each channel's
  mean over the images is subtracted first.

  Args:
    images: at least 2.
  """
  n, height, width, channels = images.shape
  values = np.float32(images).reshape(n, height * width, channels)
  values -= values.mean(axis=0)
  return _cosines(values.transpose(1, 0, 2).reshape(height * width, -1))


def _cosines(vectors: Real[np.ndarray, 'pixels dims']) -> Similarity:
  vectors = np.asarray(vectors, np.float32)  # a large layer is a GB
  products = np.float64(vectors @ vectors.T)
  lengths = np.sqrt(np.diag(products))
  scale = np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths))
  return products * scale * scale[:, None]


def smooth(similarity: Similarity, share: int = 8) -> Similarity:
  """Returns cosines of pixels in the leading components of a similarity.

  Noise is spread over all components, but what neighbours have in common is in
  few. What all pixels have in common, such as brightness, is subtracted first.

  Args:
    similarity: of pixels.
    share: one of so many components is kept.
  """
  bare = similarity.copy()
  np.fill_diagonal(bare, 0)
  mean = bare.mean(axis=0)
  bare -= mean + mean[:, None] - mean.mean()
  values, vectors = np.linalg.eigh(bare)
  kept = max(4, len(values) // share)
  scale = np.sqrt(np.maximum(values[-kept:], 0))
  return _cosines(vectors[:, -kept:] * scale)
