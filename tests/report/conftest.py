import pytest

from lconv_jax.report import style


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  """Figures have few dots, and fonts that are embedded quickly."""
  monkeypatch.setattr(style, 'DPI', 50)
  monkeypatch.setitem(style._LOOK, 'pdf.fonttype', 3)


@pytest.fixture
def drawn(monkeypatch):
  """The figures that were drawn, with their captions, instead of files."""
  result = []

  def save(fig, path, caption=None):
    result.append((fig, caption))
    return (path,)

  monkeypatch.setattr(style, 'save', save)
  return result
