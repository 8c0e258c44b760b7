"""What a program consists of, for tests that look into it."""

import jax


def equations(jaxpr):
  """All equations, also those within loops, branches and calls."""
  for eqn in jaxpr.eqns:
    yield eqn
    for value in eqn.params.values():
      for sub in value if isinstance(value, (tuple, list)) else [value]:
        sub = getattr(sub, 'jaxpr', sub)
        if hasattr(sub, 'eqns'):
          yield from equations(sub)


def is_exact(product):
  """Returns whether an equation has the highest precision for both inputs."""
  highest = jax.lax.Precision.HIGHEST
  return product.params['precision'] in (highest, (highest, highest))


def products(jaxpr):
  """Matrix products and convolutions."""
  names = 'dot_general', 'conv_general_dilated'
  return [e for e in equations(jaxpr) if e.primitive.name in names]
