"""Makes a .npz file of MNIST-1D (Greydanus & Kobak, ICML 2024).

  pip install mnist1d && python examples/mnist1d.py mnist1d.npz

4,000 + 1,000 signals of 40 places, of ten classes: each is a small curve that
stands for a digit, padded, scaled, sheared, shifted and in noise.
"""

import sys

import numpy as np
from mnist1d.data import make_dataset


def main(path: str) -> None:
  """Generates the data set with the package's own arguments and saves it."""
  found = make_dataset()
  # Five standard deviations to either side become 0 ... 255.
  scaled = {
    name: np.clip(np.rint(127.5 + 25.5 * found[name]), 0, 255).astype(np.uint8)
    for name in ('x', 'x_test')
  }
  np.savez(
    path,
    train_signals=scaled['x'],
    train_labels=found['y'],
    test_signals=scaled['x_test'],
    test_labels=found['y_test'],
  )


if __name__ == '__main__':
  main(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
