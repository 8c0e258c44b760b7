import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lconv_jax import augment
from lconv_jax.augment.standard import PADDING


def reference(image, shift, flip):
  """The image flipped or not, moved by `shift`, by padding and cutting."""
  height, width, _ = image.shape
  if flip:
    image = image[:, ::-1]
  p = PADDING
  padded = np.pad(image, ((p, p), (p, p), (0, 0)))
  rows, columns = shift[0] + p, shift[1] + p
  return padded[rows : rows + height, columns : columns + width]


@pytest.mark.parametrize('shape', [(32, 32, 3), (9, 5, 1), (6, 11, 4)])
def test_every_image_is_some_flip_and_crop_of_itself(shape):
  rs = np.random.RandomState(0)
  images = jnp.uint8(rs.randint(1, 256, (300, *shape)))
  out = augment.flip_crop(jax.random.key(0), images, jnp.arange(300))
  assert out.dtype == jnp.uint8
  seen = []
  for image, result in zip(np.asarray(images), np.asarray(out), strict=True):
    choices = [
      (dy, dx, flip)
      for dy in range(-4, 5)
      for dx in range(-4, 5)
      for flip in (False, True)
      if np.array_equal(reference(image, (dy, dx), flip), result)
    ]
    assert choices, 'no flip and crop gives this image'
    seen += choices[:1]
  # 300 images: each of the 9 shifts is about 33 times there, each flip 150.
  dys, dxs, flips = np.array(seen).T
  for values, kinds in ((dys, 9), (dxs, 9), (flips, 2)):
    counts = np.unique(values, return_counts=True)[1]
    assert len(counts) == kinds
    expected = 300 / kinds
    assert ((counts - expected) ** 2 / expected).sum() < 30  # χ², 8 d.o.f.


def test_what_happens_depends_on_the_index_and_not_on_the_place():
  images = jax.random.bits(jax.random.key(0), (8, 7, 7, 3), jnp.uint8)
  index = jnp.array([5, 3, 100, 7, 8, 2, 44, 45_000])
  key = jax.random.key(1)
  whole = augment.flip_crop(key, images, index)
  order = np.array([3, 1, 0, 2, 7, 6, 5, 4])
  again = jax.jit(augment.flip_crop)(key, images[order], index[order])
  np.testing.assert_array_equal(whole[order], again)
  other = augment.flip_crop(jax.random.key(2), images, index)
  assert (whole != other).any()
