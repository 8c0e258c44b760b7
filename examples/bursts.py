"""Draws bursts of β-LASSO under batch norm, and two runs that have none.

  python -m examples.bursts --out=docs/bursts.png

The demo's S-FC learns in three ways: with a learning rate that is too small for
its λ, in the same way with the norms of the first layer's filters held, and
with the demo's own setting. docs/bursts.md explains the figure.
"""

import argparse
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from matplotlib import figure, ticker

from configs import demo
from lconv_jax import data, report, train
from lconv_jax.report import style
from lconv_jax.train import parallel, step

BURSTS = {
  'model.dropout': 0.0,
  'optim.lr': 0.1,
  'optim.beta': 3.0,
  'optim.l1_conv': 1e-3,
  'optim.l1_fc': 1e-3,
}
LOOKS = 5  # measurements in an epoch
PANELS = (
  'Test accuracy (%)',
  'Non-zeros, first layer (%)',
  'Norm of a filter (median)',
)
State = step.TrainState


def norms(state: State) -> jax.Array:
  """Returns the norm of each filter of the first layer."""
  return jnp.linalg.norm(state.params['conv1']['kernel'], axis=0)


def hold(state: State, wanted: jax.Array) -> State:
  """Scales filters to given norms, and batch norm's statistics with them.

  Under batch norm, the net computes the same as before.
  """
  params, stats = {**state.params}, {**state.batch_stats}
  factor = wanted / jnp.maximum(norms(state), 1e-30)
  params['conv1'] = {'kernel': params['conv1']['kernel'] * factor}
  mean, var = (stats['conv1_bn'][name] for name in ('mean', 'var'))
  stats['conv1_bn'] = {'mean': mean * factor, 'var': var * factor**2}
  return state._replace(params=params, batch_stats=stats)


def curves(config: ml_collections.ConfigDict, held: bool = False) -> np.ndarray:
  """Trains, and returns the epoch and a value for each panel, look by look."""
  built = train.trainer.setup(config, data.load(config.data))
  trainer = train.trainer.Trainer(built)
  measure, scale = parallel.pmap(norms), parallel.pmap(hold)
  initial = measure(trainer.state)
  per_epoch, rows = built.program.steps_per_epoch, []
  for look in range(1, config.train.epochs * LOOKS + 1):
    trainer.train_until(look * per_epoch // LOOKS)
    if held:
      trainer.state = scale(trainer.state, initial)
    (row,) = trainer.evaluate(trainer.net())
    found = parallel.unreplicate(measure(trainer.state))
    rows.append(
      (
        trainer.step / per_epoch,
        100 * row['test/accuracy'],
        100 * row['nonzero/conv1'],
        np.median(found[found > 0]),
      )
    )
  return np.array(rows)


@style.look()
def draw(runs: dict[str, np.ndarray]) -> figure.Figure:
  """Draws a panel for each value, with a line for each run."""
  fig = figure.Figure((2 * style.COLUMN, 2.4), layout='constrained')
  fig.get_layout_engine().set(wspace=0.06)
  for i, (ax, title) in enumerate(zip(fig.subplots(1, 3), PANELS, strict=True)):
    for color, (name, rows) in zip(style.COLORS, runs.items(), strict=False):
      ax.plot(rows[:, 0], rows[:, 1 + i], label=name, color=color, lw=0.9)
    ax.set(title=title, xlabel='epoch')
    if i:
      ax.set_yscale('log')
      ax.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  handles, names = ax.get_legend_handles_labels()
  fig.legend(handles, names, loc='outside lower center', ncols=len(names))
  return fig


def main(argv: Sequence[str] | None = None) -> None:
  """Trains the three runs and draws them."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--out', default='docs/bursts.png', help='PNG to write')
  args = parser.parse_args(argv)
  steady, bursts = demo.get_config(), demo.get_config()
  bursts.update_from_flattened_dict(BURSTS)
  runs = {
    'bursts: η = 0.1, λ = 1e-3, β = 3': curves(bursts),
    'the same, norms held': curves(bursts, held=True),
    'the demo: η = 2, λ = 1.2e-4, dropout': curves(steady),
  }
  report.save(draw(runs), args.out)


if __name__ == '__main__':
  main()
