"""Makes a .npz file of pieces of genes of E. coli, to be told apart by frame.

  python examples/ecoli.py NC_008253.fna.gz ecoli.npz

The genome of strain 536 is in Debian's package bowtie-examples, or at NCBI. A
signal is 60 letters, one-hot (A, C, G, T), of an open reading frame: at least
300 letters without a stop codon (TAA, TAG, TGA) at every third place. Its class
is the place of its first codon: 0, 1 or 2. So stop codons at places of another
frame decide, of three neighbouring letters each. Test pieces are from the last
fifth of the genome.
"""

import gzip
import sys

import numpy as np

LENGTH, LEAST = 60, 300
EACH = 60000, 6000  # pieces to train and to test with
LETTERS, STOPS = 'ACGT', ('TAA', 'TAG', 'TGA')


def frames(strand: str) -> list[tuple[int, int]]:
  """Returns where the open reading frames of a strand begin and end."""
  found = []
  for frame in range(3):
    stops = [
      i for i in range(frame, len(strand) - 2, 3) if strand[i : i + 3] in STOPS
    ]
    edges = zip([frame - 3, *stops], [*stops, len(strand)], strict=True)
    found += [(a + 3, b) for a, b in edges if b - a - 3 >= LEAST]
  return found


def pieces(
  part: str, num: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Returns one-hot signals [num, LENGTH, 4] and their classes."""
  other = part.translate(str.maketrans('ACGT', 'TGCA'))[::-1]
  open_frames = [(s, *ends) for s in (part, other) for ends in frames(s)]
  classes = np.arange(num) % 3
  signals = np.empty((num, LENGTH), 'U1')
  for signal, class_ in zip(signals, classes, strict=True):
    strand, begin, end = open_frames[rng.integers(len(open_frames))]
    codon = rng.integers(1, (end - begin - LENGTH) // 3)
    start = begin + 3 * codon - class_
    signal[:] = list(strand[start : start + LENGTH])
  return np.uint8(255 * (signals[..., None] == list(LETTERS))), classes


def main(path: str, out: str, each: tuple[int, int] = EACH) -> None:
  """Reads a genome (FASTA, perhaps compressed) and saves the pieces."""
  opener = gzip.open if path.endswith('.gz') else open
  with opener(path, 'rt') as f:
    genome = ''.join(line.strip() for line in f if line[0] != '>').upper()
  cut, rng = len(genome) * 4 // 5, np.random.default_rng(0)
  train, test = (
    pieces(part, num, rng)
    for part, num in zip((genome[:cut], genome[cut:]), each, strict=True)
  )
  np.savez(
    out,
    train_signals=train[0],
    train_labels=train[1],
    test_signals=test[0],
    test_labels=test[1],
  )


if __name__ == '__main__':
  main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__)
