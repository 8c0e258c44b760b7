"""Writes the tables of README and docs from the measured results.

  python -m benchmarks.tables
  python -m benchmarks.tables --check

A table stands between the lines <!-- table: NAME --> and <!-- end -->, and each
function of `TABLES` makes one from results/*.csv or benchmarks/results/*.json.
Also results/*.md are written anew, each from the CSV of its name.
"""
