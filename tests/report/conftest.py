import pytest

from lconv_jax.report import parameters, style


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  """Figures have few dots, fonts embedded quickly, and few nets to count."""
  monkeypatch.setattr(style, 'DPI', 50)
  monkeypatch.setitem(style._LOOK, 'pdf.fonttype', 3)
  monkeypatch.setattr(parameters, '_ALPHAS', (1, 15, 150))
  monkeypatch.setattr(parameters, '_SIZES', (16, 32, 256))


@pytest.fixture
def drawn(monkeypatch):
  """The figures that were drawn, with their captions, instead of files."""
  result = []

  def save(fig, path, caption=None):
    result.append((fig, caption))
    return (path,)

  monkeypatch.setattr(style, 'save', save)
  return result
