"""Configurations: plain ml_collections pages that import no JAX."""
