"""Every field of every configuration is born here, with unit and source.

"Paper" is Neyshabur, Towards Learning Convolutions from Scratch, NeurIPS 2020;
A.1 and A.2 are sections of its appendix.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping

import ml_collections

Choice = Callable[[ml_collections.ConfigDict], None]


def base() -> ml_collections.ConfigDict:
  """Returns the paper's common setting; a config file changes the rest."""
  c = ml_collections.ConfigDict()
  c.seed = 0  # of initial weights, data order, augmentation and dropout
  # auto | float32 | bfloat16 | float16. auto: bfloat16 on GPU and TPU, float32
  # on CPU. Batch norm, loss and master weights are always float32 (A.1).
  c.precision = 'auto'

  c.model = m = ml_collections.ConfigDict()
  # {s,d}_{conv,local,fc} (tables 3 and 4) | fc3 | resnet18 (A.1)
  m.name = 's_fc'
  # The paper's α: 150 for S-nets, 15 for D-nets, 64 for ResNet18. 3-FC has as
  # many weights as the S-FC of the same α.
  m.base_channels = 150
  m.kernel_size = 0  # of all convolutions, pixels; 0: 9 for S-, 3 for others
  m.local_norm = 'channel'  # batch norm of LOCAL layers: per channel | unit
  # Probability of dropping an input of the last two fully connected layers;
  # the paper tries with and without (A.2), 0.5 is our reading of "with".
  m.dropout = 0.0

  c.data = d = ml_collections.ConfigDict()
  d.name = 'cifar10'  # cifar10 | cifar100 | svhn_cropped | nlgp
  d.dir = ''  # tfds data_dir; '': $TFDS_DATA_DIR or ~/tensorflow_datasets
  d.validation = 5000  # training images held out, stratified by class
  d.limit = 0  # training images used after the hold-out; 0: all of them
  # none | flip_crop | fast_autoaugment (A.2; Lim et al., NeurIPS 2019): policy,
  # crop, flip, normalisation, cutout. The next four fields are its parts.
  d.augment = 'fast_autoaugment'
  # fa_reduced_cifar10 | fa_reduced_svhn | path of a .json file | none; '': Lim
  # et al.'s for the data set. Of fast_autoaugment alone, like `cutout`.
  d.policy = ''
  d.crop = 4  # black pixels on every side before a random crop; 0: no crop
  d.flip = True  # left to right, with probability 1/2
  # Side of a square of zeros, pixels; -1: as Lim et al., 16 (SVHN: 20); 0: none
  d.cutout = -1
  d.normalise = True  # pixels to zero mean and unit variance per channel
  # Used by data.name=nlgp alone, images drawn on the spot (Ingrosso & Goldt,
  # PNAS 2022): erf(gain z / √2) of Gaussian fields z with covariance
  # exp(-d²/ξ²); one class for each ξ.
  d.nlgp = n = ml_collections.ConfigDict()
  n.xi = (1.5, 3.0)  # correlation length of each class, pixels
  n.gain = 3.0
  n.channels = 1  # 1: grey, 3: colour (independent fields)
  n.train = 55000  # images, data.validation of them held out
  n.test = 10000  # images
  n.seed = 0  # of the images, apart from the run's seed

  c.optim = o = ml_collections.ConfigDict()
  o.name = 'beta_lasso'  # sgd | beta_lasso
  o.lr = 0.1  # initial learning rate, cosine-annealed to 0 (A.2)
  o.momentum = 0.0  # sgd: 0 or 0.9; β-LASSO uses none (A.2)
  o.weight_decay = 0.0  # kernels only, added to the gradient; sgd grid (A.2)
  o.beta = 50.0  # weights below β λ are cut to zero after a step (A.2)
  # λ of the layers that stand for convolutions, and of the fully connected
  # ones; grid 1e-6 ... 2e-5 at 400 epochs (A.2). A run of 1/r of the steps
  # sparsifies as much with r times the λ.
  o.l1_conv = 1e-5
  o.l1_fc = 1e-5

  c.train = t = ml_collections.ConfigDict()
  t.epochs = 400  # passes over the training images (A.2); 0: only evaluate
  t.batch_size = 512  # images a step, over all devices (A.2)
  # Batch norm over the global batch, whatever the number of devices; False:
  # each normalises its own share, and running statistics are averaged.
  t.sync_batch_norm = True
  # A run folder whose best net to start from, '' for a random one. CONV becomes
  # LOCAL or FC that way (the eFCN of d'Ascoli et al., NeurIPS 2019).
  t.init_from = ''
  t.eval_every_epochs = 1
  t.checkpoint_every_epochs = 50  # besides every 10 minutes
  # Whether to log with each evaluation how local the filters of a dense first
  # layer are: `lconv_jax.locality`, of 1,000 filters at most. done.json has it
  # anyway, of all filters of the best net.
  t.log_locality = False
  # Steps to trace once all is compiled, into WORKDIR/profile, for TensorBoard's
  # profile plugin and Perfetto; 0: none
  t.profile = 0
  return c


def cifar10(c: ml_collections.ConfigDict) -> None:
  """CIFAR-10: 50,000 + 10,000 images, 10 classes."""
  c.data.name = 'cifar10'


def cifar100(c: ml_collections.ConfigDict) -> None:
  """CIFAR-100: 50,000 + 10,000 images, 100 classes."""
  c.data.name = 'cifar100'


def svhn_cropped(c: ml_collections.ConfigDict) -> None:
  """SVHN, cropped digits, without `extra`: 73,257 + 26,032 images."""
  c.data.name = 'svhn_cropped'


def nlgp(c: ml_collections.ConfigDict) -> None:
  """Embedded images that are drawn on the spot: no download."""
  c.data.name = 'nlgp'
  c.data.augment = 'none'


def sgd(c: ml_collections.ConfigDict) -> None:
  """Plain SGD, the paper's baseline."""
  c.optim.update({'name': 'sgd', 'momentum': 0.0, 'weight_decay': 0.0})


def momentum(c: ml_collections.ConfigDict) -> None:
  """SGD with momentum 0.9 and weight decay 5e-4, of the paper's grid (A.2)."""
  c.optim.update({'name': 'sgd', 'lr': 0.1})
  c.optim.update({'momentum': 0.9, 'weight_decay': 5e-4})


def beta_lasso(c: ml_collections.ConfigDict) -> None:
  """β-LASSO with the paper's β = 50, and nothing beside it (A.2)."""
  c.optim.update({'name': 'beta_lasso', 'momentum': 0.0, 'weight_decay': 0.0})


def smoke(c: ml_collections.ConfigDict) -> None:
  """Everything shrunk: a run of a minute on a laptop."""
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


def choose(
  config: ml_collections.ConfigDict,
  arg: str | None,
  choices: Mapping[str, Choice] = CHOICES,
) -> ml_collections.ConfigDict:
  """Applies the comma-separated choices in `arg` to `config`, in order.

  Args:
    config: changed in place.
    arg: what follows the colon in `--config=configs/s_fc.py:cifar100,sgd`.
    choices: what each name does.

  Returns:
    `config`.

  Raises:
    ValueError: a name is not among `choices`; the nearest ones are named.
  """
  for name in filter(None, (arg or '').split(',')):
    if name not in choices:
      raise ValueError(
        f'config choice {name!r} does not exist.{nearest(name, choices)}'
        f'Choices: {", ".join(choices)}.'
      )
    choices[name](config)
  return config


def nearest(name: str, options: Iterable[str]) -> str:
  """Returns ' Did you mean a or b? ', or ' ' where nothing is near."""
  near = difflib.get_close_matches(name, list(options), n=2, cutoff=0.4)
  return f' Did you mean {" or ".join(near)}? ' if near else ' '
