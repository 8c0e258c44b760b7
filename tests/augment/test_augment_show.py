import jax
import numpy as np
import pytest
from matplotlib import image

from lconv_jax import augment, report
from lconv_jax.augment import __main__ as show
from tests.pictures import images


def test_the_command_writes_a_sheet(tmp_path, capsys):
  path = tmp_path / 'sheets' / 'sheet.png'
  args = ['--data=nlgp', '--rows=2', '--columns=3', f'--out={path}']
  assert show.main(['--show', *args]) == 0
  assert image.imread(path).shape[-1] == 4
  assert path.with_suffix('.pdf').read_bytes().startswith(b'%PDF')
  assert str(path) in capsys.readouterr().out


def test_what_is_wrong_is_said_in_a_sentence(capsys):
  assert show.main(['--show', '--data=nlgp', '--policy=fa_reduced']) == 2
  assert 'Did you mean' in capsys.readouterr().err
  assert show.main(['--show', '--data=nlgp', '--out=/proc/x/y.png']) == 2
  assert 'cannot be written' in capsys.readouterr().err
  with pytest.raises(SystemExit):
    show.main(['--show', '--rows=0'])
  assert 'not a whole number above 0' in capsys.readouterr().err
  assert show.main([]) == 0
  assert '--show' in capsys.readouterr().out


def test_labels_say_what_was_done():
  def always(*steps):
    return tuple(augment.policy.Step(op, 1.0, level) for op, level in steps)

  p = (always(('Invert', 0.3), ('Posterize', 0.5)),)
  x = images(5, 8, 8)
  rows, labels = show.sheet(augment.Pipeline(p), x, 2, seed=0)
  assert labels[0] == ['original'] * 5
  assert labels[1] == labels[2] == ['Invert\nPosterize 6 bits'] * 5
  np.testing.assert_array_equal(rows[0], x)
  np.testing.assert_array_equal(rows[1], (255 - x) & 0b11111100)

  never = (augment.policy.Step('Rotate', 0.0, 1.0),)
  p = always(('Rotate', 1.0)), never
  _, labels = show.sheet(augment.Pipeline(p), x, 9, 0)
  assert {text for row in labels[1:] for text in row} == {
    'Rotate 30°', 'Rotate -30°', '–'
  }  # fmt: skip


def test_the_same_seed_shows_the_same():
  pipeline = augment.Pipeline(
    augment.load_policy('fa_reduced_svhn'), 4, True, 8
  )
  a, b, c = (show.sheet(pipeline, images(6, 9, 9), 2, s)[0] for s in (1, 1, 2))
  np.testing.assert_array_equal(a, b)
  assert (a != c).any()


def test_a_sheet_shows_every_image_and_label():
  x = jax.random.bits(jax.random.key(0), (2, 3, 4, 5, 3), 'uint8')
  labels = [['a', 'b', 'c'], ['d\ne', 'f', 'g']]
  axes = report.draw_contact_sheet(np.asarray(x), labels).axes
  assert [ax.texts[0].get_text() for ax in axes] == [*'abc', 'd\ne', *'fg']
  for ax, want in zip(axes, np.asarray(x).reshape(6, 4, 5, 3), strict=True):
    np.testing.assert_array_equal(ax.images[0].get_array(), want)
  tops = [ax.get_position().y1 for ax in axes]
  assert min(tops[:3]) > max(tops[3:])


def test_signals_have_no_sheet(tmp_path, capsys):
  signals, labels = np.zeros((30, 1, 20, 2), np.uint8), np.arange(30) % 2
  arrays = {'train_images': signals, 'train_labels': labels}
  arrays |= {'test_images': signals, 'test_labels': labels}
  np.savez(tmp_path / 'signals.npz', **arrays)
  args = ['--show', '--data=arrays', f'--dir={tmp_path}/signals.npz']
  assert show.main(args) == 2
  assert 'have shape (1, 20, 2); choose other data' in capsys.readouterr().err
