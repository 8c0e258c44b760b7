"""S- and D-nets and their training as one would write them in PyTorch."""

import collections
import math
import random
from collections.abc import Callable

import ml_collections
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import PyTree
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers import pillow_augment, torch_layer
from lconv_jax import models
from lconv_jax.augment import policy
from lconv_jax.conv import windows
from lconv_jax.train import step as program


class LocalConv2d(nn.Module):
  """A locally connected layer; weight [Ho · Wo, Cout, Cin · Kh · Kw]."""

  def __init__(self, channels: int, features: int, w: windows.Window) -> None:
    """Leaves the weights to be copied."""
    super().__init__()
    fan_in = channels * w.size[0] * w.size[1]
    self.weight = nn.Parameter(torch.empty(w.count, features, fan_in))
    self.window = w

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns [B, Cout, Ho, Wo]."""
    return torch_layer.local_conv(x, self.weight, self.window)


class Augmented(Dataset):
  """Images that Pillow augments one by one in the loader's workers."""

  def __init__(self, data: program.Data, sub_policies: policy.Policy) -> None:
    """Keeps uint8 images [N, H, W, C], their labels and statistics."""
    self.data, self.sub_policies = data, sub_policies

  def __len__(self) -> int:
    """Returns the number of images."""
    return len(self.data.labels)

  def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
    """Returns an image [C, H, W], normalised, and its label."""
    images, labels, mean, std = self.data
    # A loader gives each of its workers a seed of its own.
    x = pillow_augment.at_random(
      images[i], random, self.sub_policies, mean, std
    )
    return torch.from_numpy(x).permute(2, 0, 1), int(labels[i])


def loader(
  data: program.Data, sub_policies: policy.Policy, workers: int, batch: int
) -> DataLoader:
  """Returns augmented batches (x [B, C, H, W], labels), shuffled each epoch.

  Its workers live from epoch to epoch. They begin an epoch when it is iterated
  over, and are idle after they have made its last batch.
  """
  return DataLoader(
    Augmented(data, sub_policies),
    batch,
    shuffle=True,
    drop_last=True,
    num_workers=workers,
    persistent_workers=True,
    multiprocessing_context='spawn',  # JAX does not survive a fork
  )


def images(x: np.ndarray) -> torch.Tensor:
  """Returns [B, H, W, C] as [B, C, H, W]."""
  return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def labels(y: np.ndarray) -> torch.Tensor:
  """Returns labels as `F.cross_entropy` takes them."""
  return torch.from_numpy(y).long()


def learner(
  net: models.Net,
  params: PyTree,
  image_shape: tuple[int, int, int],
  optim: ml_collections.ConfigDict,
  steps: int,
) -> Callable[[torch.Tensor, torch.Tensor], tuple[float, int]]:
  """Returns a function that takes a step on a batch.

  Args:
    net: our net.
    params: of our net, where training begins.
    image_shape: height, width and channels of the images.
    optim: `config.optim` of SGD.
    steps: over which the learning rate anneals.

  Returns:
    (x, labels) -> loss, number of right answers; x [B, C, H, W] is normalised.
  """
  module = build(net, image_shape)
  state = convert(net, params, image_shape[-1])
  module.load_state_dict(module.state_dict() | state)
  kernels = [p for p in module.parameters() if p.ndim > 1]
  others = [p for p in module.parameters() if p.ndim == 1]
  optimizer = torch.optim.SGD(
    [
      {'params': kernels, 'weight_decay': optim.weight_decay},
      {'params': others},
    ],
    optim.lr,
    optim.momentum,
  )
  schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

  def learn(x: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
    optimizer.zero_grad()
    logits = module(x)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.item(), (logits.argmax(1) == labels).sum().item()

  return learn


def build(net: models.Net, image_shape: tuple[int, int, int]) -> nn.Sequential:
  """Returns the same net as ours, with layers of the same names.

  Args:
    net: ours.
    image_shape: height, width and channels of the images.
  """
  *spatial, channels = image_shape
  layers = {}

  def add(name: str, layer: nn.Module, norm: nn.Module) -> None:
    layers.update({name: layer, f'{name}_bn': norm, f'{name}_relu': nn.ReLU()})

  for i, (size, features, stride) in enumerate(net.stages, start=1):
    name, w = f'conv{i}', windows.window(spatial, (size, size), stride)
    if net.connectivity == 'fc':
      layers['flat'] = nn.Flatten()  # of the images: the first stage's place
      units = features * w.count
      inputs = channels * math.prod(spatial)
      add(name, nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units))
    elif net.connectivity == 'local':
      layer = LocalConv2d(channels, features, w)
      add(name, layer, nn.BatchNorm2d(features))
    else:
      padding, *others = {p for pair in w.padding for p in pair}
      if others:  # PyTorch's own padding is the same on both sides
        layers[f'{name}_pad'] = nn.ZeroPad2d(torch_layer.torch_padding(w))
        padding = 0
      layer = nn.Conv2d(channels, features, size, stride, padding, bias=False)
      add(name, layer, nn.BatchNorm2d(features))
    spatial, channels = w.positions, features
  layers.setdefault('flat', nn.Flatten())
  width = channels * math.prod(spatial)
  for i, units in enumerate(net.hidden, start=1):
    layer = nn.Linear(width, units, bias=False)
    add(f'fc{i}', layer, nn.BatchNorm1d(units))
    width = units
  layers[f'fc{len(net.hidden) + 1}'] = nn.Linear(width, net.num_classes)
  return nn.Sequential(collections.OrderedDict(layers))


def convert(
  net: models.Net, params: PyTree, channels: int
) -> dict[str, torch.Tensor]:
  """Returns the parameters of our net as those of `build`.

  Args:
    net: ours.
    params: of ours.
    channels: of the images.
  """
  found = {}
  # Of the images that are flattened; in ours, channels come last.
  if net.connectivity != 'fc':
    channels = net.stages[-1].channels
  for name, kernel in models.kernels(params).items():
    kernel = np.asarray(kernel)
    if kernel.ndim == 4:  # [o, kh, kw, i] -> [o, i, kh, kw]
      kernel = kernel.transpose(0, 3, 1, 2)
    elif kernel.ndim == 6:  # [y, x, o, kh, kw, i] -> [y x, o, i kh kw]
      kernel = kernel.transpose(0, 1, 2, 5, 3, 4)
      kernel = kernel.reshape(-1, kernel.shape[2], math.prod(kernel.shape[3:]))
    else:  # [pixels i, o] -> [o, i pixels]; hidden units are channels
      kernel = kernel.reshape(-1, channels, kernel.shape[-1])
      kernel = kernel.transpose(2, 1, 0).reshape(kernel.shape[-1], -1)
      channels = len(kernel)
    found[f'{name}.weight'] = torch.tensor(kernel)
    if 'bias' in params[name]:
      found[f'{name}.bias'] = torch.tensor(np.asarray(params[name]['bias']))
  return found
