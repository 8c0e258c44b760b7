"""Draws augmented images: python -m lconv_jax.augment --show."""

import argparse
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import augment, data, errors, report
  from lconv_jax.augment import affine, policy

_UNITS = {
  'Rotate': '°',
  'TranslateX': ' px',
  'TranslateY': ' px',
  'Cutout': ' px',  # side of the square
  'Solarize': ' / 255',  # values from here on are inverted
  'Posterize': ' bits',
  # Factors: 1 leaves an image as it is.
  'Contrast': ' ×',
  'Color': ' ×',
  'Brightness': ' ×',
  'Sharpness': ' ×',
}
_NO_MAGNITUDE = ('AutoContrast', 'Invert', 'Equalize')


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.augment',
    description='A contact sheet: originals above, then augmented rows.',
  )
  parser.add_argument('--show', action='store_true', help='write the sheet')
  parser.add_argument(
    '--out', default='augment.png', help='the PNG, beside it a PDF'
  )
  parser.add_argument(
    '--data', choices=data.NAMES, default='cifar10',
    help='nlgp is drawn on the spot, arrays are in --dir, and others are '
    'downloaded on first use',
  )  # fmt: skip
  parser.add_argument('--dir', default='', help='as --config.data.dir')
  parser.add_argument(
    '--policy', default='', help="as --config.data.policy; '': the data set's"
  )
  parser.add_argument(
    '--cutout', type=int, default=-1, help='as --config.data.cutout'
  )
  parser.add_argument(
    '--rows', type=command.positive, default=5, help='augmented'
  )
  parser.add_argument(
    '--columns', type=command.positive, default=8, help='images'
  )
  parser.add_argument('--seed', type=int, default=0)
  return command.run(
    parser, lambda args: _show(args) if args.show else parser.print_help(), argv
  )


def _show(args: argparse.Namespace) -> None:
  name, cutout = policy.published(args.data)
  name = args.policy or name
  cutout = cutout if args.cutout < 0 else args.cutout
  whole = augment.Pipeline(augment.load_policy(name), 4, True, cutout)
  images = _images(args.data, args.dir, args.columns)
  if images.shape[1] == 1 or images.shape[3] != 3:
    raise errors.UsageError(
      f'A policy is for RGB images, and those of {args.data} have shape '
      f'{images.shape[1:]}; choose other data by --data or --dir.'
    )
  rows, labels = sheet(whole, images, args.rows, args.seed)
  try:
    fig = report.draw_contact_sheet(rows, labels)
    print(*report.save(fig, args.out), sep='\n')
  except OSError as e:
    raise errors.UsageError(
      f'--out={args.out} cannot be written ({e.strerror}); choose another.'
    ) from e
  print(f'{args.data}, policy {name}; then crop, flip, cutout.')


def sheet(
  pipeline: augment.Pipeline, images: np.ndarray, rows: int, seed: int
) -> tuple[np.ndarray, list[list[str]]]:
  """Returns images with augmented ones below, and labels of what was done.

  Args:
    pipeline: has a policy.
    images: uint8 [n, h, w, 3]; the images of one row share a step's key.
    rows: number of augmentations of each image.
    seed: of the random choices.

  Returns:
    uint8 [1 + rows, n, h, w, 3], and a label for each image.
  """
  _, height, width, _ = images.shape
  index = jnp.arange(len(images))
  # As after normalisation, the last cutout shows as the mean colour.
  mean = images.mean((0, 1, 2), dtype=np.float64).astype(np.float32)

  @jax.jit
  def augmented(key: jax.Array) -> tuple[jax.Array, augment.Choices]:
    choices = pipeline.draw(key, index, (height, width))
    x = pipeline.apply(jnp.asarray(images), choices, lambda x: x - mean)
    return x, choices

  result, labels = [images], [['original'] * len(images)]
  for row in range(rows):
    x, choices = augmented(jax.random.fold_in(jax.random.key(seed), row))
    result.append(np.asarray(x + mean).round().astype(np.uint8))
    chosen = jax.tree.map(np.asarray, choices)
    labels.append(
      [
        _label(pipeline.policy, chosen, i, height, width)
        for i in range(len(images))
      ]
    )
  return np.stack(result), labels


def _label(
  p: policy.Policy, choices: augment.Choices, i: int, height: int, width: int
) -> str:
  words = []
  for t, (op, _, level) in enumerate(p[choices.sub_policy[i]]):
    if not choices.use[i, t]:
      continue
    v = policy.magnitude(op, level, height, width)
    if op in affine.NAMES and choices.mirror[i, t]:
      v = -v
    v = int(v) if op == 'Posterize' else v
    text = '' if op in _NO_MAGNITUDE else f' {v:.2g}{_UNITS.get(op, "")}'
    words.append(op + text)
  return '\n'.join(words) or '–'


def _images(name: str, folder: str, count: int) -> np.ndarray:
  if name == 'nlgp':
    return data.nlgp.draw(count, xi=(1.5, 3.0), channels=3)[0]
  return data.read(name, folder)[1].images[:count]


if __name__ == '__main__':
  sys.exit(main())
