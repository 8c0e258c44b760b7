"""One GPU: whether it computes what a CPU does, and how fast it trains."""
