"""Writes the tables of README and docs from the measured results.

  python -m benchmarks.tables
  python -m benchmarks.tables --check

A table stands between the lines <!-- table: NAME --> and <!-- end -->, and each
function in `pages.TABLES` makes one from results/*.csv or
benchmarks/results/*.json. Each results/*.md is written from the CSV of the same
name.
"""
