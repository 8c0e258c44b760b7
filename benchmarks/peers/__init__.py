"""Peers: other ways to compute the same, one in each file."""
