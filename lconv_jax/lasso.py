"""β-LASSO (Neyshabur 2020, algorithm 1) as optax transformations."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from lconv_jax import errors

ScalarOrSchedule = ArrayLike | optax.Schedule
Mask = Any | Callable[[optax.Params], Any] | None


class ScheduleState(NamedTuple):
  """Number of times that the transformation was applied."""

  count: jax.Array  # shape=(), dtype=int32


def add_l1(
  l1: ScalarOrSchedule | Any, mask: Mask = None
) -> optax.GradientTransformation:
  """Adds the subgradient of an ℓ1 penalty, ``l1 * sign(params)``.

  Args:
    l1: λ, a scalar, a schedule, or a tree of these that is a prefix of the
      params, for example ``{'conv1': 1e-5, 'fc1': 2e-5}``.
    mask: leaves to penalise, as in :func:`optax.masked`; None: all leaves.

  Returns:
    A :class:`optax.GradientTransformation` object.

  Raises:
    ValueError: λ is negative or NaN.
  """

  def add(u: jax.Array, p: jax.Array, l1: ArrayLike) -> jax.Array:
    # An array λ is float32, and would widen 16-bit updates.
    return (u + l1 * jnp.sign(p)).astype(jnp.result_type(u))

  return _per_leaf('l1', add, l1, mask)


def threshold(
  level: ScalarOrSchedule | Any, mask: Mask = None
) -> optax.GradientTransformation:
  """Changes updates so that no parameter ends up between 0 and ``level``.

  If ``|params + updates| < level``, the update becomes ``-params``, so that the
  parameter is exactly 0 afterwards. In a chain of transformations, this should
  be the last one.

  Args:
    level: a scalar, a schedule, or a tree of these that is a prefix of params.
    mask: leaves to cut, as in :func:`optax.masked`; None: all leaves.

  Returns:
    A :class:`optax.GradientTransformation` object.

  Raises:
    ValueError: the level is negative or NaN.
  """

  def cut(u: jax.Array, p: jax.Array, level: ArrayLike) -> jax.Array:
    new = optax.apply_updates(p, u)
    return jnp.where(jnp.abs(new) < level, -p, u)

  return _per_leaf('level', cut, level, mask)


def kernel_mask(params: optax.Params) -> Any:
  """Masks out batch norm and biases: the default `mask` of `beta_lasso`.

  Args:
    params: tree of arrays.

  Returns:
    Tree of the same structure: False for arrays with ``bias`` or ``scale`` in
    their path, and for arrays of fewer than two dimensions, unless there are no
    others, as in linear regression.
  """

  def is_weight(path: tuple, _: Any) -> bool:
    names = {str(getattr(k, 'key', getattr(k, 'name', ''))) for k in path}
    return names.isdisjoint({'bias', 'scale'})

  weights = jax.tree.map_with_path(is_weight, params)
  kernels = jax.tree.map(lambda w, p: w and jnp.ndim(p) >= 2, weights, params)
  return kernels if any(jax.tree.leaves(kernels)) else weights


def beta_lasso(
  learning_rate: ScalarOrSchedule,
  l1: ScalarOrSchedule | Any,
  beta: ScalarOrSchedule = 50.0,
  mask: Mask = None,
) -> optax.GradientTransformation:
  r"""Gradient descent on an ℓ1 penalty that cuts small weights to zero.

  .. math::

    \theta &\leftarrow \theta - \eta (\nabla f(\theta) + \lambda
      \operatorname{sign}(\theta)) \\
    \theta &\leftarrow \theta \cdot 1[|\theta| \ge \beta \lambda]

  The level βλ does not contain the learning rate η, so it does not decay with
  it. β = 0 is subgradient descent, λ = 0 is gradient descent. A weight that was
  cut returns as soon as its gradient step alone exceeds βλ.

  Args:
    learning_rate: η, a scalar or a schedule.
    l1: λ, a scalar, a schedule, or a tree of these that is a prefix of the
      params: a λ for each layer, ``{'conv1': 1e-5, 'fc1': 2e-5}``. Every layer
      has to be named, masked layers with any value. A shorter run bears a
      larger λ, but less than in proportion; docs/findings.md compares rules.
    beta: β, a scalar or a schedule. The paper uses 50.
    mask: leaves to penalise and cut, as in :func:`optax.masked`. None: those
      that :func:`kernel_mask` selects, hence no biases and no batch norm. True:
      all leaves. Under :func:`optax.inject_hyperparams`, a callable mask has to
      be among its `static_args`.

  Returns:
    A :class:`optax.GradientTransformation` object; its `update` needs params.

  Raises:
    ValueError: λ or β is negative or NaN. Of arrays that are traced and of
      schedules this is not known.

  Examples:
    >>> import jax, jax.numpy as jnp, lconv_jax, optax
    >>> w = jnp.array([[0.3, -0.04, 0.0]])
    >>> tx = lconv_jax.beta_lasso(learning_rate=0.1, l1=0.01, beta=10.0)
    >>> state = tx.init(w)
    >>> grads = jnp.array([[1.0, 0.2, -2.0]])
    >>> updates, state = tx.update(grads, state, w)
    >>> print(optax.apply_updates(w, updates))  # βλ = 0.1 cuts the second
    [[0.199 0.    0.2  ]]

  References:
    Neyshabur, `Towards Learning Convolutions from Scratch
    <https://arxiv.org/abs/2007.13657>`_, NeurIPS 2020
  """
  mask = kernel_mask if mask is None else mask
  _check_numbers('l1', l1)
  _check_numbers('beta', beta)
  return optax.chain(
    add_l1(l1, mask),
    optax.scale_by_learning_rate(learning_rate),
    threshold(_product(beta, l1), mask),
  )


def _per_leaf(
  name: str,
  fn: Callable[[jax.Array, jax.Array, ArrayLike], jax.Array],
  value: ScalarOrSchedule | Any,
  mask: Mask,
) -> optax.GradientTransformation:
  """Applies fn(update, param, value) to each leaf; values may be schedules.

  The value is called `name` in messages.
  """
  _check_numbers(name, value)
  scheduled = any(map(callable, jax.tree.leaves(value)))

  def init_fn(params: optax.Params) -> optax.OptState:
    del params
    if scheduled:
      return ScheduleState(jnp.zeros([], jnp.int32))
    return optax.EmptyState()

  def update_fn(
    updates: optax.Updates,
    state: optax.OptState,
    params: optax.Params | None = None,
  ) -> tuple[optax.Updates, optax.OptState]:
    if params is None:
      raise ValueError(
        'params are needed: call tx.update(grads, state, params)'
      )
    now = value
    if scheduled:
      now = jax.tree.map(lambda v: v(state.count) if callable(v) else v, value)
      state = ScheduleState(optax.safe_increment(state.count))

    def leaf(u: Any, p: Any, v: Any) -> Any:
      # A constant 0 must not change a bit, but compiled with it, the select of
      # the threshold would change the rounding of the rest.
      nothing = isinstance(v, int | float) and v == 0
      return u if u is None or nothing else fn(u, p, v)

    updates = jax.tree.map(
      leaf,
      updates,
      params,
      _for_each_leaf(name, now, params),
      is_leaf=lambda u: u is None,
    )
    return updates, state

  tx = optax.GradientTransformation(init_fn, update_fn)
  if mask is None:
    return tx

  def of_leaves(tree: Any) -> Any:
    # Else a subtree that is masked out as a whole hides its leaves from values.
    return jax.tree.broadcast(mask(tree) if callable(mask) else mask, tree)

  return optax.masked(tx, of_leaves)


def _check_numbers(name: str, value: ScalarOrSchedule | Any) -> None:
  """Raises a ValueError if a value that is known is negative or NaN."""
  for path, v in jax.tree.leaves_with_path(value):
    known = not (callable(v) or isinstance(v, jax.core.Tracer))
    if known and not np.all(np.asarray(v) >= 0):
      raise ValueError(
        f'{name}{jax.tree_util.keystr(path)}={v} must be 0 or more.'
      )


def _for_each_leaf(name: str, value: Any, params: optax.Params) -> Any:
  """Returns a tree with the structure of params, of which `value` is a prefix.

  Raises:
    ValueError: it is not a prefix.
  """
  try:
    return jax.tree.broadcast(value, params)
  except ValueError as e:
    raise ValueError(
      f'{name} must be one value for all params, or a tree that is a prefix of '
      f'the params, but {_difference(value, params)}'
    ) from e


def _difference(value: Any, params: Any, where: str = 'the params') -> str:
  """Returns why a tree is not a prefix of params, '' if it is one."""
  if isinstance(value, Mapping) and isinstance(params, Mapping):
    if unknown := [k for k in value if k not in params]:
      hint = errors.nearest(str(unknown[0]), map(str, params)).rstrip()
      return f'{where} have no {unknown[0]!r}.{hint}'
    if missing := [k for k in params if k not in value]:
      return f'it lacks {missing[0]!r}, which {where} have.'
    inside = (_difference(value[k], params[k], f'params[{k!r}]') for k in value)
    return next(filter(None, inside), '')
  try:
    jax.tree.broadcast(value, params)
  except ValueError:
    kinds = [type(x).__name__ for x in (params, value)]
    return '{} are a {}, not a {}.'.format(where, *kinds)
  return ''


def _product(a: ScalarOrSchedule, tree: Any) -> Any:
  """Returns a times each leaf of a tree; all of these may be schedules."""

  def times(b: ScalarOrSchedule) -> ScalarOrSchedule:
    if not callable(a) and not callable(b):
      return a * b
    return lambda count: (
      (a(count) if callable(a) else a) * (b(count) if callable(b) else b)
    )

  return jax.tree.map(times, tree)
