import os

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


def test_the_cores_that_a_process_may_use_are_counted(monkeypatch):
  before = runs.environment()
  assert runs.changed_environment(before) == {}
  cores = {*range(before['cpus'] + 1)}
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: cores)
  found = runs.changed_environment({**before, 'numpy': '0'})
  assert found == {'cpus': (before['cpus'], before['cpus'] + 1)}


def test_an_old_run_says_nothing_of_where_it_began():
  assert runs.changed_environment({}) == {}
  assert runs.changed_environment({'jax': '0'})['jax'][0] == '0'
