"""Defines every field of every configuration, with its unit and source.

"Paper" is Neyshabur, Towards Learning Convolutions from Scratch, NeurIPS 2020;
A.1 and A.2 are sections of its appendix.
"""

from collections.abc import Callable, Mapping

import ml_collections

from lconv_jax import errors

Config = ml_collections.ConfigDict
Choice = Callable[[Config], None]

# The paper's α of each net (A.1). 3-FC has as many weights as the S-FC of the
# same α.
ALPHA = {
  'd_conv': 15,
  'd_local': 15,
  'd_fc': 15,
  's_conv': 150,
  's_local': 150,
  's_fc': 150,
  'fc3': 150,
  'resnet18': 64,
}


def base() -> Config:
  """Returns the paper's common setting; a config file changes the rest."""
  c = Config()
  c.seed = 0  # of initial weights, data order, augmentation and dropout
  # auto | float32 | bfloat16 | float16. auto: bfloat16 on GPU and TPU, float32
  # on CPU. Batch norm, loss and master weights are always float32 (A.1).
  c.precision = 'auto'

  c.model = m = Config()
  # {s,d}_{conv,local,fc} (tables 3 and 4) | fc3 | resnet18 (A.1)
  m.name = 's_fc'
  m.base_channels = ALPHA['s_fc']  # α
  m.kernel_size = 0  # of all convolutions, pixels; 0: 9 for S-, 3 for others
  m.local_norm = 'channel'  # batch norm of LOCAL layers: per channel | unit
  # Probability of dropping an input of the last two fully connected layers.
  # The paper tries with and without (A.2); 0.5 is our reading of "with".
  m.dropout = 0.0

  c.data = d = Config()
  # cifar10 | cifar100 | svhn_cropped | nlgp | arrays (docs/extending.md)
  d.name = 'cifar10'
  # tfds data_dir; '': $TFDS_DATA_DIR or ~/tensorflow_datasets. For arrays: a
  # .npz file, or a folder that has a folder of images for each class.
  d.dir = ''
  d.validation = 5000  # training images held out, stratified by class
  d.limit = 0  # training images used after the hold-out; 0: all of them
  # Seed of one permutation that scrambles the pixels of every image, as uint8;
  # -1: none.
  d.permute = -1
  # The geometry.npz of a run whose pixels were permuted as these: it lays them
  # out on the grid that python -m lconv_jax.geometry has recovered. '': none.
  d.layout = ''
  # True: images are augmented before their pixels are permuted, so that crops,
  # flips, ... tell a net which pixels are neighbours.
  d.leak_geometry = False
  # none | flip_crop | fast_autoaugment (A.2; Lim et al., NeurIPS 2019): policy,
  # crop, flip, normalisation, cutout. The next four fields are its parts.
  d.augment = 'fast_autoaugment'
  # fa_reduced_cifar10 | fa_reduced_svhn | path of a .json file | none; '': Lim
  # et al.'s for the data set. For fast_autoaugment alone, as is `cutout`.
  d.policy = ''
  d.crop = 4  # black pixels on every side before a random crop; 0: no crop
  d.flip = True  # left to right, with probability 1/2
  # Side of a square of zeros, pixels; -1: as Lim et al., 16 (SVHN: 20); 0: none
  d.cutout = -1
  d.normalise = True  # pixels to zero mean and unit variance per channel
  # For data.name=nlgp alone: images drawn on the spot (Ingrosso & Goldt, PNAS
  # 2022), which are erf(gain z / √2) of Gaussian fields z with covariance
  # exp(-d²/ξ²), with a class for each ξ.
  d.nlgp = n = Config()
  n.xi = (1.5, 3.0)  # correlation length of each class, pixels
  n.gain = 3.0
  n.length = 0  # places of signals; 0: images of 32 x 32 pixels instead
  n.channels = 1  # 1: grey, 3: colour (independent fields)
  n.train = 55000  # images, from which data.validation are held out
  n.test = 10000  # images
  n.seed = 0  # of the images; the run's seed is another

  c.optim = o = Config()
  o.name = 'beta_lasso'  # sgd | beta_lasso
  o.lr = 0.1  # initial learning rate, cosine-annealed to 0 (A.2)
  o.momentum = 0.0  # sgd: 0 or 0.9; β-LASSO uses none (A.2)
  o.weight_decay = 0.0  # kernels only, added to the gradient; sgd grid (A.2)
  o.beta = 50.0  # weights below β λ are cut to zero after a step (A.2)
  # λ of the layers that stand for convolutions, and of the fully connected
  # ones; grid 1e-6 ... 2e-5 at 400 epochs (A.2). A shorter run bears
  # a larger λ (docs/findings.md).
  o.l1_conv = 1e-5
  o.l1_fc = 1e-5

  c.train = t = Config()
  t.epochs = 400  # passes over the training images (A.2); 0: only evaluate
  t.batch_size = 512  # images a step, over all devices (A.2)
  # True: batch norm over the global batch, whatever the number of devices.
  # False: each device normalises its own share, and running statistics are
  # averaged.
  t.sync_batch_norm = True
  # A run folder with whose best net to start, '' for a random one. CONV becomes
  # LOCAL or FC that way (the eFCN of d'Ascoli et al., NeurIPS 2019).
  t.init_from = ''
  t.eval_every_epochs = 1
  t.checkpoint_every_epochs = 50  # besides every 10 minutes
  # Whether each evaluation logs how local the filters of a dense first layer
  # are (`lconv_jax.locality`, at most 1,000 filters). done.json has it in any
  # case, for all filters of the best net.
  t.log_locality = False
  # Steps to trace after compilation, into WORKDIR/profile, for TensorBoard's
  # profile plugin and Perfetto; 0: none
  t.profile = 0
  return c


def cifar10(c: Config) -> None:
  """CIFAR-10: 50,000 + 10,000 images, 10 classes."""
  c.data.name = 'cifar10'


def cifar100(c: Config) -> None:
  """CIFAR-100: 50,000 + 10,000 images, 100 classes."""
  c.data.name = 'cifar100'


def svhn_cropped(c: Config) -> None:
  """SVHN, cropped digits, without `extra`: 73,257 + 26,032 images."""
  c.data.name = 'svhn_cropped'


def nlgp(c: Config) -> None:
  """Images that are drawn on the spot, without a download."""
  c.data.name = 'nlgp'
  c.data.augment = 'none'


def sgd(c: Config) -> None:
  """Plain SGD, the paper's baseline."""
  c.optim.update({'name': 'sgd', 'momentum': 0.0, 'weight_decay': 0.0})


def momentum(c: Config) -> None:
  """SGD with momentum 0.9 and weight decay 5e-4, of the paper's grid (A.2)."""
  c.optim.update({'name': 'sgd', 'lr': 0.1})
  c.optim.update({'momentum': 0.9, 'weight_decay': 5e-4})


def beta_lasso(c: Config) -> None:
  """β-LASSO without momentum or weight decay, as in the paper (A.2)."""
  c.optim.update({'name': 'beta_lasso', 'momentum': 0.0, 'weight_decay': 0.0})


def smoke(c: Config) -> None:
  """Shrinks everything: a run of a minute on a laptop."""
  c.model.base_channels = 1
  c.data.limit = 4096
  c.data.validation = 1000
  c.data.nlgp.train = 5096
  c.data.nlgp.test = 1000
  c.train.batch_size = 128
  c.train.epochs = 2
  c.train.checkpoint_every_epochs = 1


CHOICES: dict[str, Choice] = {
  f.__name__: f
  for f in (
    cifar10,
    cifar100,
    svhn_cropped,
    nlgp,
    sgd,
    momentum,
    beta_lasso,
    smoke,
  )
}


def by_sgd(net: str, arg: str | None = None) -> Config:
  """Returns the paper's net, by a point of its SGD grid, changed by choices."""
  c = base()
  c.model.update({'name': net, 'base_channels': ALPHA[net]})
  momentum(c)
  return choose(c, arg)


def choose(
  config: Config,
  arg: str | None,
  choices: Mapping[str, Choice] = CHOICES,
) -> Config:
  """Applies the comma-separated choices in `arg` to `config`, in order.

  Args:
    config: changed in place.
    arg: what follows the colon in `--config=configs/s_fc.py:cifar100,sgd`.
    choices: the function that each name stands for.

  Returns:
    `config`.

  Raises:
    ValueError: a name is not among `choices`; the nearest ones are named.
  """
  for name in filter(None, (arg or '').split(',')):
    if name not in choices:
      raise ValueError(
        f'config choice {name!r} does not exist.{errors.nearest(name, choices)}'
        f'Choices: {", ".join(choices)}.'
      )
    choices[name](config)
  return config
