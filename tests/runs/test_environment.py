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
