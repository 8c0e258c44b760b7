"""A small version; runs are killed in tests/train, where it costs less."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_nothing_is_lost_and_nothing_is_silently_wrong(tmp_path):
  out = tmp_path / 'chaos.json'
  result = subprocess.run(
    [
      sys.executable, '-m', 'benchmarks.chaos', f'--out={out}', '--seed=1',
      '--kills=0', '--damages=10', '--configs=30',
    ],
    cwd=ROOT, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert result.returncode == 0, result.stdout + result.stderr
  found = {row['case']: row for row in json.loads(out.read_text())['rows']}
  damaged = found['damaged folders']
  assert damaged['damaged'] == damaged['same'] + damaged['said'] == 10
  configs = found['senseless configs']
  assert configs['configs'] == configs['refused'] + configs['built'] == 30
  assert configs['refused'] > 10
