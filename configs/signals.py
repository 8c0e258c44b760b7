r"""Nets on signals: NLGP in one dimension, MNIST-1D, or genes of E. coli.

  python main.py --config=configs/signals.py --workdir=runs/signals
  python main.py --config=configs/signals.py:mnist1d,sgd --workdir=runs/mnist1d

S-FC with α = 8; docs/signals.md has the other nets, and what came out. NLGP is
drawn on the spot; examples/mnist1d.py and examples/ecoli.py make mnist1d.npz
and ecoli.npz, in the current folder unless data.dir says where. λ was chosen by
validation accuracy and sparsity.
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns the setting, changed by comma-separated choices."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels = 8
  c.data.nlgp.update({'length': 64, 'xi': (2.0, 2.6)})
  c.train.epochs = 12
  c.optim.lr = 0.5
  c.optim.l1_conv, c.optim.l1_fc = 1e-3, 1e-4
  own = {'mnist1d': _mnist1d, 'ecoli': _ecoli, 'sgd': base.momentum}
  return base.choose(c, arg, {**base.CHOICES, **own})


def _mnist1d(c: base.Config) -> None:
  """MNIST-1D: 4,000 + 1,000 signals, 10 classes."""
  c.data.update({'name': 'arrays', 'dir': 'mnist1d.npz', 'validation': 500})
  c.train.epochs, c.train.batch_size = 100, 100
  c.train.eval_every_epochs = 5


def _ecoli(c: base.Config) -> None:
  """Genes of E. coli: 60,000 + 6,000 signals, 3 classes."""
  c.data.update({'name': 'arrays', 'dir': 'ecoli.npz', 'validation': 6000})
  c.train.epochs = 20
