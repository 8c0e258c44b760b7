"""The locally connected layer in PyTorch: as one writes it, and at its best.

PyTorch itself has no such layer.
"""

import itertools

import torch
import torch.nn.functional as F

from benchmarks import layer
from lconv_jax.conv import windows


def unfold(problem: layer.Problem) -> layer.Candidate:
  """Returns `F.unfold` and `einsum`, NCHW, with gradients by autograd."""
  # F.unfold has Cin before the window. Kernels [P, Cout, K] are no slower than
  # [Cout, K, P] or [P, K, Cout].
  layout = layer.Layout((0, 3, 1, 2), (0, 1, 5, 4, 2, 3))
  x, kernel, dy = map(torch.from_numpy, problem.arrays(layout))
  inputs = (kernel.requires_grad_(),)
  if problem.input_gradient:
    inputs = (x.requires_grad_(), kernel)

  def run() -> list[torch.Tensor]:
    y = local_conv(x, kernel.flatten(0, 1).flatten(2), problem.window)
    return [y.detach(), *torch.autograd.grad(y, inputs, dy)]

  return layer.Candidate(run, layout)


def local_conv(
  x: torch.Tensor, kernel: torch.Tensor, w: windows.Window
) -> torch.Tensor:
  """Returns [B, Cout, Ho, Wo].

  Args:
    x: [B, Cin, H, W].
    kernel: [Ho · Wo, Cout, Cin · Kh · Kw].
    w: how the window moves over the image.
  """
  padded = F.pad(x, torch_padding(w))
  patches = F.unfold(padded, w.size, stride=w.strides)
  y = torch.einsum('bkp,pok->bop', patches, kernel)
  return y.unflatten(2, w.positions)


def best_effort(problem: layer.Problem) -> layer.Candidate:
  """Returns the fastest that we could write: positions first, batch last.

  Patches are a strided view, products are `bmm`, and the input's gradient is
  added up slice by slice.
  """
  w, (*_, cin, cout) = problem.window, problem.kernel.shape
  batch = len(problem.x)
  layout = layer.Layout((1, 2, 3, 0), (0, 1, 5, 2, 3, 4))
  x, kernel, dy = map(torch.from_numpy, problem.arrays(layout))
  shape, kernel = kernel.shape, kernel.flatten(0, 1).flatten(2)
  dy = dy.flatten(0, 1)
  (top, _), (left, _) = w.padding
  height, width = x.shape[:2]

  @torch.inference_mode()
  def run() -> list[torch.Tensor]:
    padded = F.pad(x, (0, 0, 0, 0, *torch_padding(w)))
    row, column, *inner = padded.stride()
    patches = padded.as_strided(
      (*w.positions, *w.size, cin, batch),
      (row * w.strides[0], column * w.strides[1], row, column, *inner),
    ).reshape(len(kernel), -1, batch)
    y = torch.bmm(kernel, patches).view(*w.positions, cout, batch)
    dkernel = torch.bmm(dy, patches.transpose(1, 2)).view(shape)
    if not problem.input_gradient:
      return [y, dkernel]
    dpatches = torch.bmm(kernel.transpose(1, 2), dy)
    dpatches = dpatches.view(*w.positions, *w.size, cin, batch)
    dx = torch.zeros_like(padded)
    for i, j in itertools.product(*map(range, w.size)):
      rows, columns = (
        slice(first, first + (count - 1) * stride + 1, stride)
        for first, count, stride in zip(
          (i, j), w.positions, w.strides, strict=True
        )
      )
      dx[rows, columns] += dpatches[:, :, i, j]
    return [y, dx[top : top + height, left : left + width], dkernel]

  return layer.Candidate(run, layout)


def torch_padding(w: windows.Window) -> tuple[int, ...]:
  """Returns the padding as F.pad takes it, the last dimension first."""
  return tuple(itertools.chain(*reversed(w.padding)))
