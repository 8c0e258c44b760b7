"""What the pages link and name exists, and their snippets run."""

import importlib.util
import operator
import pathlib
import pkgutil
import re
import runpy

import pytest

from configs import base, grids
from launch import sweep

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
  ROOT / 'README.md',
  *sorted(
    path
    for name in ('docs', 'results', 'benchmarks', 'lconv_jax')
    for path in (ROOT / name).rglob('*.md')
  ),
]
# test_readme.py and test_extending.py run the snippets of the other two.
SNIPPETS = [
  page for page in PAGES if page.name not in ('README.md', 'extending.md')
]

LINK = re.compile(r'\]\(\s*([^)\s]+)\s*\)')
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.DOTALL | re.MULTILINE)
CODE = re.compile(r'`([^`]+)`')
HEADING = re.compile(r'^#+ (.+)$', re.MULTILINE)
# In inline code: a file of this repository; in a command: a module; a name.
PATH = re.compile(
  r'(?<![\w./~])'
  r'(?:lconv_jax|configs|launch|benchmarks|results|examples|notebooks|docs|tests)'
  r'/[\w./-]+'
)
MODULE = re.compile(r'-m ((?:lconv_jax|launch|benchmarks)(?:\.\w+)*)')
CONFIG = re.compile(r'--config=(configs/\w+\.py)(?::([\w,]+))?')
FIELD = re.compile(r'--config\.([a-z][\w.]*\w)')
GRID = re.compile(
  r'launch\.(?:local|slurm|caliban|tpu_vm) ([a-z]\w*(?::\w+)?)[\s`]'
)
# Rooms whose names are not sections of a config, too.
ROOMS = 'augment', 'locality', 'mdl', 'models', 'report', 'runs'
TOPS = '|'.join(('lconv_jax', 'launch', 'benchmarks', *ROOMS))
NAME = re.compile(rf'(?<![\w./])({TOPS})(?!\.(?:json|py)\b)((?:\.\w+)+)')


def each(pages):
  return pytest.mark.parametrize(
    'page', pages, ids=lambda page: str(page.relative_to(ROOT))
  )


def read(page):
  return page.read_text(encoding='utf-8')


def prose(page):
  return BLOCK.sub('', read(page))


def inline_code(page):
  return CODE.findall(prose(page))


def links(page):
  """Returns the file and the anchor of each relative link."""
  found = []
  for link in LINK.findall(prose(page)):
    if not re.match(r'\w+:', link):
      path, _, anchor = link.partition('#')
      found.append(((page.parent / path).resolve() if path else page, anchor))
  return found


def anchors(page):
  """Returns the anchors that GitHub gives the headings of a page."""
  return {
    re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
    for heading in HEADING.findall(prose(page))
  }


@each(PAGES)
def test_links_lead_to_a_file_and_a_heading(page):
  for path, anchor in links(page):
    assert path.exists(), f'{path} does not exist'
    assert not anchor or anchor in anchors(path), f'{path}: no #{anchor}'


@each(PAGES)
def test_paths_exist(page):
  for code in inline_code(page):
    for path in PATH.findall(code):
      assert (ROOT / path).exists(), f'`{code}`: {path} does not exist'


@each(PAGES)
def test_commands_name_modules_that_can_be_run(page):
  for module in MODULE.findall(read(page)):
    spec = importlib.util.find_spec(module)
    assert spec, f'{module} does not exist'
    if spec.submodule_search_locations:  # a package
      assert importlib.util.find_spec(f'{module}.__main__'), module


@each(PAGES)
def test_commands_name_configs_fields_and_grids_that_exist(page):
  text = read(page)
  for file, choices in CONFIG.findall(text):
    runpy.run_path(str(ROOT / file))['get_config'](choices or None)  # or raises
  for field in FIELD.findall(text):
    operator.attrgetter(field)(base.base())
  for grid in GRID.findall(text):
    assert grids.load(grid)


@each(PAGES)
def test_names_exist(page):
  for code in inline_code(page):
    for top, rest in NAME.findall(code):
      # Raises if there is no such name.
      pkgutil.resolve_name(
        f'lconv_jax.{top}{rest}' if top in ROOMS else f'{top}{rest}'
      )


def test_every_page_is_reached_from_the_readme():
  reached, new = set(), {ROOT / 'README.md'}
  while new:
    reached |= new
    linked = {path for page in new for path, _ in links(page)}
    new = {path for path in linked if path.suffix == '.md'} - reached
  assert set(PAGES) == reached


@each([page for page in SNIPPETS if '```python' in read(page)])
def test_snippets_run(page, tmp_path):
  for kind, text in BLOCK.findall(read(page)):
    if kind == 'python' and (name := re.match(r'# (\w+\.py)\n', text)):
      grid = tmp_path / name[1]  # the only files are grids
      grid.write_text(text, encoding='utf-8')
      assert sweep.expand(str(grid)).points
    elif kind == 'python':
      exec(text, {})
