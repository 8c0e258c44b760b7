"""Configurations: pages of ml_collections that do not import JAX."""
