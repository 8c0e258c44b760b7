"""README's Python snippets run as they stand, each in a program of its own."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[1] / 'README.md'
SNIPPETS = re.findall(
  r'^```python\n(.*?)^```', README.read_text('utf-8'), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize('snippet', SNIPPETS)
def test_a_snippet_can_be_pasted(snippet):
  names = {}
  exec(snippet, names)
  if 'again' in names:
    a, b = (names[k]['fc1']['kernel'] for k in ('again', 'coarse'))
    assert (a == b).all()
  if 'y' in names:
    assert names['y'].shape == (8, 16, 16, 32)


def test_there_is_a_snippet_for_each_part():
  parts = ('beta_lasso', 'LocalConv', 'apply_op', 'mdl.encode')
  assert all(any(part in s for s in SNIPPETS) for part in parts)
