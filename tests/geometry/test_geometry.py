import numpy as np
import pytest

from lconv_jax import geometry
from lconv_jax.geometry import graph, similarity, stress
from lconv_jax.geometry.match import match

SIDE = 12


def hidden(grid, noise=0.02, seed=0):
  """Similarity of pixels in a random order, and where they are."""
  rng = np.random.default_rng(seed)
  true = grid.positions[rng.permutation(grid.height * grid.width)]
  distance = grid.distances(true, true)
  values = 0.3 * np.exp(-distance / 2) + noise * rng.normal(size=distance.shape)
  return (values + values.T) / 2, true


@pytest.mark.parametrize(
  'grid',
  [
    geometry.Grid(SIDE, SIDE),
    geometry.Grid(10, 16),
    geometry.Grid(16, 10),
    geometry.Grid(SIDE, SIDE, torus=True),
    geometry.Grid(10, 14, torus=True),
    geometry.Grid(14, 10, torus=True),
    geometry.Grid(1, 64),
    geometry.Grid(1, 64, torus=True),
  ],
  ids=str,
)
def test_the_grid_is_recovered_from_similarity(grid):
  values, true = hidden(grid)
  found = geometry.lay_out(values, grid)
  scores = geometry.score(found, true)
  assert geometry.near_share(values, true, grid) > 0.95
  assert scores.exact > 0.95 and scores.rms < 0.7
  assert scores.within_close > 0.95 and found.agreement > 0.8
  np.testing.assert_array_equal(
    np.sort(found.cell), np.arange(grid.height * grid.width)
  )
  # Its positions, turned and mirrored as the truth, are near it.
  error = grid.difference(geometry.aligned(found, true), true)
  assert np.sqrt((error**2).sum(1).mean()) == pytest.approx(scores.rms)


@pytest.mark.parametrize(
  'grid', [geometry.Grid(6, 11), geometry.Grid(9, 5, torus=True)], ids=str
)
def test_pixels_are_matched_to_their_cells(grid):
  values, true = hidden(grid, noise=0.01)
  own = stress.snap(true, grid)
  # Rows that have changed places; what pixels have in common with themselves
  # does not hold them there.
  moved = own.copy()
  moved[(own // grid.width == 1)] += 2 * grid.width
  moved[(own // grid.width == 3)] -= 2 * grid.width
  for alike in (0, 1, 100):
    np.fill_diagonal(values, alike)
    cell, positions = match(values, moved, grid, 10)
    np.testing.assert_array_equal(cell, own)
    error = grid.difference(positions, true)
    assert np.hypot(*error.T).max() < 0.5


def test_the_surface_is_found_by_agreement():
  grids = [geometry.Grid(SIDE, SIDE, torus) for torus in (False, True)]
  for grid in grids:
    values, _ = hidden(grid)
    assert geometry.best(values, grids).grid == grid


def test_noise_has_no_geometry():
  grid = geometry.Grid(SIDE, SIDE)
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(SIDE * SIDE, 100))
  values, true = similarity.of_weights(kernel, 1), grid.positions
  found = geometry.lay_out(values, grid)
  assert found.agreement < 0.4
  # Without a likely place, pixels stay near the cells that they were given.
  cell, positions = match(values, found.cell, grid, 10)
  assert np.hypot(*(positions - grid.positions[cell]).T).max() <= 3
  assert geometry.score(found, true).within_close < 0.2
  chance = (grid.distances(true, true) <= 1.5).mean()
  assert geometry.near_share(values, true, grid) < 3 * chance


def test_similarity_of_weights_is_their_cosine():
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(5 * 3, 7)).astype(np.float32)
  kernel[3:6] = 0
  got = similarity.of_weights(kernel, 3)
  for p, q in np.ndindex(5, 5):
    a, b = (kernel[3 * i : 3 * i + 3].ravel() for i in (p, q))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    want = a @ b / norm if norm else 0
    assert got[p, q] == pytest.approx(want, abs=1e-5)
  unsigned = similarity.of_weights(kernel, 3, signed=False)
  assert got.min() < -0.1 and (unsigned == np.abs(got)).all()


def test_similarity_of_images_is_their_correlation():
  images = np.random.RandomState(0).randint(0, 256, (50, 2, 3, 1))
  got = similarity.of_images(np.uint8(images))
  want = np.corrcoef(images.reshape(50, 6).T)
  np.testing.assert_allclose(got, want, atol=1e-5)
  # The channels of a pixel are one vector, each without its mean.
  two = np.concatenate([images, 255 - images], axis=-1)
  np.testing.assert_allclose(
    similarity.of_images(np.uint8(two)), got, atol=1e-4
  )


def test_smoothing_takes_noise_away():
  grid = geometry.Grid(24, 24)
  values, true = hidden(grid, noise=0.12)
  smoothed = similarity.smooth(values)
  before, after = (
    geometry.near_share(v, true, grid) for v in (values, smoothed)
  )
  assert after > before + 0.02


def test_ranks_and_neighbours():
  values = np.array(
    [[1, 0.9, 0.1, 0.2], [0.9, 1, 0.3, 0], [0.1, 0.3, 1, 0], [0.2, 0, 0, 1]]
  )
  rank = graph.ranks(values)
  np.testing.assert_array_equal(rank[0], [0, 1, 3, 2])
  np.testing.assert_array_equal(rank[2], [2, 1, 0, 3])
  joined = graph.neighbours(values, rank, 1)
  # 0 and 1 are each other's nearest; the tree joins the rest.
  pairs = {tuple(p) for p in np.argwhere(np.triu(joined))}
  assert pairs == {(0, 1), (1, 2), (0, 3)}
  path = graph.paths(joined, rank)
  assert path[3, 2] == pytest.approx(path[3, 0] + path[0, 1] + path[1, 2])
  assert path[0, 1] == pytest.approx(np.sqrt(1 / np.pi))
  assert graph.paths(joined, rank, line=True)[0, 1] == 1 / 2


def test_distances_on_a_torus_go_round():
  grid = geometry.Grid(4, 6, torus=True)
  apart = grid.distances(grid.positions, grid.positions)
  assert apart[0, 3 * 6] == 1 and apart[0, 5] == 1 and apart[0, 3] == 3
  assert (
    geometry.Grid(4, 6).distances(grid.positions, grid.positions)[0, 5] == 5
  )
  d = grid.difference(np.array([3.0, 5.0]), np.array([0.0, 0.0]))
  np.testing.assert_array_equal(d, [-1, -1])


@pytest.mark.parametrize('torus', [False, True])
def test_scores_do_not_mind_turns_and_mirrors(torus):
  grid = geometry.Grid(6, 6, torus)
  true = grid.positions[np.random.RandomState(0).permutation(36)]
  turned = (5 - true)[:, ::-1] if not torus else (true[:, ::-1] + 2) % 6
  cell = stress.snap(turned, grid)
  scores = geometry.score(geometry.Layout(grid, turned, cell, 1.0), true)
  assert scores.rms == pytest.approx(0, abs=1e-6)
  assert scores[1:] == (1, 1, 1, 1)
  # Two pixels that have changed places are the only wrong ones.
  cell[[0, 1]] = cell[[1, 0]]
  swapped = geometry.Layout(grid, grid.positions[cell], cell, 1.0)
  scores = geometry.score(swapped, true)
  assert scores.exact == pytest.approx(34 / 36)
  far = grid.distances(true[:1], true[1:2])[0, 0]
  assert scores.rms == pytest.approx(far * np.sqrt(2 / 36), rel=0.1)


def test_true_positions_follow_the_permutation():
  grid = geometry.Grid(2, 3)
  origin = np.array([5, 0, 1, 2, 3, 4])
  np.testing.assert_array_equal(geometry.positions(origin, grid)[0], [1, 2])
  np.testing.assert_array_equal(geometry.positions(None, grid), grid.positions)
