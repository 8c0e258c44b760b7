"""Learning convolutions from scratch, in JAX."""

from lconv_jax.lasso import add_l1, beta_lasso, kernel_mask, threshold

__all__ = ['add_l1', 'beta_lasso', 'kernel_mask', 'threshold']
