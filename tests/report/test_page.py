"""The HTML page of python -m lconv_jax.report --html."""

import base64
import html.parser
import json
import re

from lconv_jax.report.__main__ import main
from tests import fake_runs


class Page(html.parser.HTMLParser):
  """The parts of a page, as a browser finds them."""

  def __init__(self, text):
    super().__init__()
    self.open, self.ids, self.links, self.sources = [], set(), [], []
    self.cells, self.texts = [], {}
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag not in ('meta', 'img'):
      self.open.append(tag)
    self.ids |= {attrs['id']} if 'id' in attrs else set()
    self.links += [attrs['href']] if 'href' in attrs else []
    self.sources += [attrs['src']] if 'src' in attrs else []
    self.cells += [attrs['data-key']] if tag == 'td' else []

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.texts.setdefault(self.open[-1] if self.open else '', []).append(data)


def test_a_page_has_everything_in_itself(tmp_path):
  paths = [
    fake_runs.write(tmp_path / f'<{i}>', (5 + i) / 10, seed=i) for i in (0, 1)
  ]
  paths.append(fake_runs.write(tmp_path / 'lr', 0.9, optim__lr=0.5))
  out = tmp_path / 'sub' / 'runs.html'
  assert main([*map(str, paths), f'--html={out}', f'--out={tmp_path}']) == 0
  text = out.read_text(encoding='utf-8')
  page = Page(text)
  assert not page.open
  assert not re.search(r'https?://|@import|url\(', text)
  # A row for both seeds, sorted by its mean, and one for the other setting.
  assert '55.00 ± 7.07' in page.texts['a'] and '90.00' in page.texts['a']
  assert page.cells.count('55.00') == 2  # of test and validation
  assert len(page.links) == len(page.cells)
  assert set(page.links) == {f'#{name}' for name in page.ids}
  assert page.ids == {'runs-0', 'runs-1'}
  titles = [t for t in page.texts['h4'] if t.startswith(str(tmp_path))]
  assert [str(p) == t.split(',')[0] for p, t in zip(paths, titles, strict=True)]
  configs = [t for t in page.texts['pre'] if t.startswith('{')]
  assert [json.loads(c)['optim']['lr'] for c in configs] == [0.1, 0.1, 0.5]
  assert 'python main.py <1>' in page.texts['pre']
  (source,) = page.sources  # no checkpoints: curves alone
  kind, _, image = source.partition(',')
  assert kind == 'data:image/png;base64'
  assert base64.b64decode(image) == (tmp_path / 'curves.png').read_bytes()
