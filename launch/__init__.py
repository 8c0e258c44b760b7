"""Trains the points of a grid, on this machine, a cluster or a cloud."""
