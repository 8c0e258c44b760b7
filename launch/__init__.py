"""From a grid to its runs: on this machine, or on a cluster."""
