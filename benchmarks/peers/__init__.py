"""Others' ways to compute the same: one function of a problem in each file."""
