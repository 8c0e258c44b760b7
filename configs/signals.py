r"""Nets on signals: NLGP in one dimension, MNIST-1D, or genes of E. coli.

  python main.py --config=configs/signals.py --workdir=runs/signals
  python main.py --config=configs/signals.py:mnist1d,sgd --workdir=runs/mnist1d

S-FC with α = 8; docs/signals.md has the other nets, and what came out. NLGP is
drawn on the spot; examples/mnist1d.py and examples/ecoli.py make mnist1d.npz
and ecoli.npz, in the current folder unless data.dir says where. λ was chosen on
MNIST-1D, by validation accuracy.
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns the setting, changed by comma-separated choices."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels = 8
  c.data.nlgp.update({'length': 64, 'train': 15000, 'test': 3000})
  c.data.validation = 1500
  c.train.epochs, c.train.batch_size = 20, 100
  c.optim.lr = 0.5
  c.optim.l1_conv, c.optim.l1_fc = 1e-3, 1e-4
  own = {'mnist1d': _mnist1d, 'ecoli': _ecoli, 'sgd': base.momentum}
  return base.choose(c, arg, {**base.CHOICES, **own})


def _mnist1d(c: base.Config) -> None:
  """MNIST-1D: 4,000 + 1,000 signals, 10 classes."""
  c.data.update({'name': 'arrays', 'dir': 'mnist1d.npz', 'validation': 500})
  c.train.epochs, c.train.eval_every_epochs = 100, 5


def _ecoli(c: base.Config) -> None:
  """Genes of E. coli: 60,000 + 6,000 signals, 3 classes."""
  c.data.update({'name': 'arrays', 'dir': 'ecoli.npz', 'validation': 6000})
  c.train.epochs = 8
