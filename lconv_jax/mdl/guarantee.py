"""Guarantee of theorem 2 for the net of a run."""

import pathlib
from typing import NamedTuple

import numpy as np

from lconv_jax import errors, mdl
from lconv_jax.mdl import classifier, file, search
from lconv_jax.models import fold

FILE = 'net.lconv'
_MEANS = 1000  # training images over which biases are corrected
_SEARCH = 10_000  # training images on which settings are compared


class Guarantee(NamedTuple):
  """Description of a run's net that was made coarse, and its bound."""

  setting: search.Setting
  description: file.Description
  bound: mdl.Bound
  train_error: float  # of the net as it was trained, in [0, 1]
  test_error: float  # of the net as it was trained
  coarse_test_error: float  # of the net that is described
  num_test: int  # images
  num_classes: int

  @property
  def vacuous(self) -> bool:
    """True if guessing has as good a guarantee."""
    return self.bound.in_nats >= 1 - 1 / self.num_classes


def of_run(
  path: str | pathlib.Path,
  delta: float = 0.05,
  tolerance: float = 0.02,
  data_dir: str = '',
) -> Guarantee:
  """Describes a run's best net in few bits, and writes net.lconv beside it.

  A search over how many weights are pruned, and how coarsely the rest are
  quantised, makes the bound small. Then the file is read again, and all results
  are of the net that it describes. The search may use the training data, since
  the bound holds for all nets at once.

  Args:
    path: a run folder.
    delta: probability that the bound does not hold.
    tolerance: training error that may be added, in [0, 1]. Without a limit the
      search may end at a net that guesses, as its description is short.
    data_dir: where the data set is now; '': where it was in training.

  Raises:
    UsageError: the run or its data cannot be read, or an argument is out of
      range.
  """
  if not 0 <= tolerance <= 1:
    raise errors.UsageError(f'tolerance={tolerance} must be in [0, 1].')
  mdl.bound(0, n=1, k=1, b=1, code_length=0, m=1, delta=delta)  # checks delta
  net, folded, dataset = classifier.from_run(path, data_dir)
  train, test = dataset.train, dataset.test
  some = train.images[:_MEANS]
  folded = fold.balance(folded, net.chain)
  means = net.means(folded, some)

  def coarse(setting: search.Setting) -> fold.Folded:
    return search.coarse(
      folded,
      net.chain,
      setting,
      lambda few, change: net.corrected(few, means, some, change),
    )

  def bound(error: float, length: mdl.Length) -> mdl.Bound:
    # The file's own k is counted as part of the code, although the theorem pays
    # for it in log(2n/δ) already.
    return mdl.bound(
      error, length.n, length.k, length.values // length.k, length.mapping,
      len(train.labels), delta,
    )  # fmt: skip

  part = type(train)(*(a[:_SEARCH] for a in train))
  allowed = net.error(folded, part) + tolerance

  def cost(setting: search.Setting) -> float:
    candidate = coarse(setting)
    error = net.error(candidate, part)
    # Among settings that are not good enough, the better ones cost less.
    worse = 1e3 * max(0, error - allowed)
    length = file.describe(candidate, setting.b, ['entropy']).length
    return worse + bound(error, length).in_nats

  setting = search.smallest(cost, search.Setting())
  described = coarse(setting)
  where = pathlib.Path(path, FILE)
  description = file.save(where, described, setting.b)
  decoded = file.load(where, described)
  labels = net.predict(decoded, test.images)
  if not np.array_equal(labels, net.predict(described, test.images)):
    raise RuntimeError(f'{where} does not predict what its net does.')
  error = net.error(decoded, train)
  return Guarantee(
    setting,
    description,
    bound(error, description.length),
    net.error(folded, train),
    net.error(folded, test),
    float(np.mean(labels != test.labels)),
    len(test.labels),
    dataset.num_classes,
  )
