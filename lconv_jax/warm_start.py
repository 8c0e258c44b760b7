"""A net to start from: another run's, embedded where it has to be."""

import pathlib

import jax
import jax.numpy as jnp
import ml_collections
from jaxtyping import PyTree

from lconv_jax import checkpoint, embed, errors, models, run


def load(
  config: ml_collections.ConfigDict,
  image_shape: tuple[int, int, int],
  num_classes: int,
) -> dict[str, PyTree]:
  """Returns the best net of the run `config.train.init_from`.

  Args:
    config: of the run that begins. Its net is the same as the other run's, or
      one in which that can be embedded (CONV in LOCAL in FC).
    image_shape: height, width and channels of the images.
    num_classes: number of logits.

  Returns:
    `params` and `batch_stats` of the net that begins, on the host.

  Raises:
    UsageError: there is no such run, or its net is another one.
  """
  folder = pathlib.Path(config.train.init_from).expanduser().absolute()
  where = f'config.train.init_from={config.train.init_from}'
  old = run.read_json(folder / 'config.json')
  if not isinstance(old, dict) or 'model' not in old:
    raise errors.UsageError(
      f'{where} is no run folder: it has no config.json that can be read; give '
      'a folder that main.py got as --workdir.'
    )
  target = config.model.copy_and_resolve_references()
  target.dropout = 0.0  # is no part of the net's parameters
  source = target.copy_and_resolve_references()
  # A field that is younger than the other run keeps this config's value.
  source.update({k: old['model'][k] for k in source if k in old['model']})
  source.dropout = 0.0
  modules = [
    models.build(m, image_shape, num_classes) for m in (source, target)
  ]
  shapes = jax.eval_shape(
    models.as_functions(modules[0]).init,
    jax.random.key(0),
    jnp.zeros((1, *image_shape)),
  )
  like = dict(zip(('params', 'batch_stats'), shapes, strict=True))
  try:
    net = checkpoint.match(like, checkpoint.load_net(folder), folder)
    return embed.embed(net, *modules, image_shape)
  except errors.UsageError as e:
    raise errors.UsageError(f'{where}: {e}') from e
