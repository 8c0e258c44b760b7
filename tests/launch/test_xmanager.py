"""Needs XManager: XMANAGER_PYTHON=/path/to/python that can import it."""

import json
import os
import pathlib
import subprocess

import pytest

from launch import roots, sweep

HERE = pathlib.Path(__file__).parents[1]
PYTHON = os.environ.get('XMANAGER_PYTHON')
pytestmark = pytest.mark.skipif(
  not PYTHON, reason='no XManager: $XMANAGER_PYTHON is not set'
)
POINTS = ['lr=0.01,seed=0', 'lr=0.1,seed=0', 'lr=1,seed=0']


def launch(tmp_path, *words):
  """Returns what XManager would have had built and run, and what was said."""
  root = tmp_path / 'root'
  smi = tmp_path / 'bin' / 'nvidia-smi'  # that XManager asks for GPUs
  smi.parent.mkdir(exist_ok=True)
  smi.write_text('#!/bin/sh\n')
  smi.chmod(0o755)
  record = tmp_path / 'record'
  record.write_text('')
  script = [PYTHON, str(HERE / 'xm_recorder.py'), str(record)]
  done = subprocess.run(
    [
      *(*script, 'launch/xm_launch.py', '--'),
      *('--grid=learning_rate', f'--root={root}', *words),
    ],
    cwd=HERE.parent,
    env={'PATH': f'{smi.parent}:{os.defpath}', 'HOME': str(tmp_path)},
    capture_output=True,
    text=True,
  )
  rows = [json.loads(line) for line in record.read_text().splitlines()]
  images, jobs = (
    [row for row in rows if row['kind'] == kind] for kind in ('image', 'job')
  )
  return images, jobs, done.returncode, done.stderr


def test_points_run_one_after_the_other_on_this_machine(tmp_path):
  words = ['--override=data.name=svhn_cropped', '--requirements=local_gpu=1']
  images, jobs, status, said = launch(tmp_path, *words)
  assert status == 0, said
  (image,) = images
  assert 'pip install --no-cache-dir .[all,cuda12]\n' in image['dockerfile']
  assert image['entry'].endswith('\nexec python main.py "$@"\n')
  # The last commit, with its name, and nothing that lies beside it.
  assert '.git' in image['files'] and '.venv' not in image['files']
  root = tmp_path / 'root'
  whole = roots.read(root)
  assert list(whole.points) == POINTS
  assert [job['args'] for job in jobs] == [
    sweep.flags(whole, name, root) for name in POINTS
  ]
  for job in jobs:
    assert job['volumes'][str(root)] == str(root) and job['gpus'] == 1
    assert job['env']['XDG_CACHE_HOME'] == f'{root}/.cache'
    assert job['others_running'] == 0
  # The same command has nothing left to do.
  images, jobs, status, said = launch(tmp_path, *words)
  assert (images, jobs, status) == ([], [], 0), said


@pytest.mark.parametrize(
  ('requirements', 'extras', 'accelerator', 'count'),
  [
    ('a100=2', '[all,cuda12]', 'NVIDIA_TESLA_A100', 2),
    ('tpu_v3=8', '[all,tpu]', 'TPU_V3', 8),
  ],
)
def test_points_are_submitted_to_vertex_ai_once(
  requirements, extras, accelerator, count, tmp_path
):
  words = [
    '--executor=vertex',
    '--remote_root=/gcs/bucket/lr',
    '--push_image_tag=registry/lconv:1',
    f'--requirements={requirements}',
  ]
  images, jobs, status, said = launch(tmp_path, *words)
  assert status == 0, said
  assert f'.{extras}\n' in images[0]['dockerfile']
  whole = roots.read(tmp_path / 'root')
  assert [job['args'] for job in jobs] == [
    sweep.flags(whole, name, '/gcs/bucket/lr') for name in POINTS
  ]
  for job in jobs:
    assert job['image'] == 'registry/lconv:1'
    assert (job['accelerator'], job['count']) == (accelerator, count)
  # Two jobs must not write one folder, so nothing is submitted twice ...
  assert launch(tmp_path, *words)[1] == []
  # ... but on request, what has not come back as finished.
  done = tmp_path / 'root' / POINTS[0]
  done.mkdir()
  (done / 'done.json').write_text('{"best": {"step": 1}}')
  assert len(launch(tmp_path, *words, '--resubmit')[1]) == 2


def test_a_failed_point_is_named_and_run_again(tmp_path):
  (tmp_path / 'fails').write_text('lr=0.1')
  _, jobs, status, said = launch(tmp_path)
  assert (len(jobs), status) == (3, 1)
  assert 'error: 1 of 3 points are not finished, such as lr=0.1,seed=0' in said
  (tmp_path / 'fails').unlink()
  _, jobs, status, said = launch(tmp_path)
  assert (len(jobs), status) == (1, 0)


def test_a_dry_run_does_nothing(tmp_path):
  images, jobs, status, said = launch(tmp_path, '--dry_run')
  assert (images, jobs, status) == ([], [], 0), said
  assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
  ('words', 'hint'),
  [
    (['--grid=lerning_rate'], 'Did you mean learning_rate'),
    (['--override=optim.lrr=1'], 'Did you mean optim.lr'),
    (['--requirements=v900=1'], "Unknown ResourceType 'v900'"),
    (['--executor=vertex'], 'needs --remote_root=/gcs/BUCKET/FOLDER'),
    (['--remote_root=/gcs/b/x'], 'for --executor=vertex alone'),
  ],
)
def test_bad_input_is_one_sentence(words, hint, tmp_path):
  images, jobs, status, said = launch(tmp_path, *words)
  assert (images, jobs, status) == ([], [], 1)
  assert hint in said and 'Traceback' not in said


def test_without_docker_it_is_said(tmp_path):
  (tmp_path / 'no_docker').touch()
  images, jobs, status, said = launch(tmp_path)
  assert (images, jobs, status) == ([], [], 1)
  assert 'Docker is not running here' in said and 'Traceback' not in said
