"""Checks that a GPU computes what a CPU does, and times how fast it trains."""
