"""Run folders as training leaves them, written at once."""

import functools
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import base
from lconv_jax import models
from lconv_jax.runs import checkpoint

WEIGHTS = {'conv1': 1000, 'fc1': 200, 'fc2': 10}
IMAGE = (32, 32, 3)
CLASSES = 10


def write(
  folder,
  test=0.5,
  validation=None,
  finished=True,
  measured=None,
  weights=WEIGHTS,
  kernel=None,
  image=IMAGE,
  choices='cifar10,momentum',
  **fields,
):
  """Writes a run; `fields` are of the config, with __ for dots.

  A `kernel` is that of the first layer; without one there is no checkpoint.
  """
  config = base.choose(base.base(), choices)
  config.train.epochs = 4
  config.precision = 'float32'
  config.update_from_flattened_dict(
    {name.replace('__', '.'): value for name, value in fields.items()}
  )
  environment = {'commit': 'c0ffee', 'command': f'python main.py {folder.name}'}
  folder.mkdir(parents=True)
  _json(
    folder / 'config.json', {**config.to_dict(), 'environment': environment}
  )
  epochs = config.train.epochs
  last = epochs if measured is None else measured
  rows = [
    _row(epoch, epochs, test, test if validation is None else validation)
    for epoch in range(1, last + 1)
  ]
  lines = ''.join(json.dumps(row) + '\n' for row in rows)
  (folder / 'metrics.jsonl').write_text(lines, encoding='utf-8')
  if finished:
    done = {
      'best': rows[-1],
      'last': rows[-1],
      'weights': weights,
      'image_shape': list(image),
      'environment': environment,
    }
    _json(folder / 'done.json', done)
  if kernel is not None:
    best = variables(config.model, kernel, image)
    checkpoints = checkpoint.Checkpoints(folder)
    checkpoints.save(
      epochs, checkpoint.Checkpoint({'step': np.array(epochs)}, best, rows[-1])
    )
    checkpoints.close()
  return folder


def net(root, name, alpha, test, **fields):
  """Writes a run by SGD with momentum, whose folder's name is its own."""
  path = root / f'{name}_{alpha}_{len(list(root.glob("*")))}'
  weights = {'conv1': 1000 * alpha, 'fc1': 10}
  fields |= {'model__name': name, 'model__base_channels': alpha}
  return write(path, test, weights=weights, **fields)


@functools.cache
def kernels():
  """First layers of α = 2, by name: of S-FC dense and sparse, LOCAL, CONV."""
  rng = np.random.default_rng(0)
  shapes = {
    'dense': (3072, 512),
    'local': (16, 16, 2, 9, 9, 3),
    'conv': (2, 9, 9, 3),
  }
  made = {
    name: rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }
  kept = rng.random(shapes['dense']) < 0.01
  return {**made, 'sparse': made['dense'] * kept}


def of_filters(root):
  """Writes the runs that the figures of filters choose from."""
  dense, local, conv, sparse = (
    kernels()[name] for name in ('dense', 'local', 'conv', 'sparse')
  )
  net(root, 's_fc', 1, 0.9, kernel=sparse[:, ::2])  # a smaller α
  net(root, 's_fc', 2, 0.4, kernel=dense)
  lasso = {'choices': 'beta_lasso', 'kernel': sparse}
  net(root, 's_fc', 2, 0.4, **lasso)
  net(root, 's_fc', 2, 0.8, optim__beta=1.0, **lasso)  # a smaller β
  net(root, 's_local', 2, 0.4, kernel=local)
  net(root, 's_conv', 2, 0.4, kernel=conv)


def variables(model, kernel, image=IMAGE):
  """Returns a net of zeros, but for its first layer's kernel."""
  fields = tuple(sorted({**model, 'dropout': 0.0}.items()))
  params, batch_stats = jax.tree.map(
    lambda x: np.zeros(x.shape, x.dtype), _shapes(fields, image)
  )
  params[next(iter(models.kernels(params)))] = {'kernel': kernel}
  return {'params': params, 'batch_stats': batch_stats}


@functools.cache
def _shapes(fields, image):
  net = models.build(ml_collections.ConfigDict(dict(fields)), image, CLASSES)
  init = models.as_functions(net).init
  return jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *image)))


def _row(epoch, epochs, test, validation):
  share = epoch / epochs
  row = {
    'epoch': float(epoch),
    'step': 10 * epoch,
    'train/accuracy': min(1.0, test * share + 0.1),
    'validation/accuracy': validation * share,
    'test/accuracy': test * share,
    'seconds': 2.0 * epoch,
  }
  for i, layer in enumerate(WEIGHTS):
    row[f'nonzero/{layer}'] = 1 - share * (1 - 0.01 * 10**i)
  return row


def _json(path, content):
  path.write_text(json.dumps(content), encoding='utf-8')
