import os

import pytest

from lconv_jax import runs


def test_a_copy_without_git_has_the_commit_that_it_is_told(monkeypatch):
  there = runs.environment()['commit']
  assert there != 'unknown'
  monkeypatch.setenv('LCONV_JAX_COMMIT', 'abc')
  assert runs.environment()['commit'] == there
  monkeypatch.setenv('PATH', '/nowhere')
  assert runs.environment()['commit'] == 'abc'
  monkeypatch.delenv('LCONV_JAX_COMMIT')
  assert runs.environment()['commit'] == 'unknown'


@pytest.mark.skipif(
  not hasattr(os, 'sched_setaffinity') or len(os.sched_getaffinity(0)) < 2,
  reason='needs two cores, and a system that can keep a process to one',
)
def test_the_cores_that_a_process_may_use_are_counted():
  before, cores = runs.environment(), os.sched_getaffinity(0)
  assert runs.changed_environment(before) == {}
  os.sched_setaffinity(0, [min(cores)])
  try:
    found = runs.changed_environment({**before, 'numpy': '0'})
  finally:
    os.sched_setaffinity(0, cores)
  assert found == {'cpus': (len(cores), 1)}


def test_an_old_run_says_nothing_of_where_it_began():
  assert runs.changed_environment({}) == {}
  assert runs.changed_environment({'jax': '0'})['jax'][0] == '0'
