"""The table of small models that drives the symmetry, matching and landscape tests.

Each entry is a plain `nn.Module` written here, independent of `engine.families`, with an
example batch and the number of permutation groups that a careful reader counts by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Model:
    """A small model: how to build it, its per-sample input shape, its groups by hand."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    group_sizes: tuple[int, ...]

    def module(self, seed: int = 0) -> nn.Module:
        """Return a fresh module in eval mode; every parameter and buffer is random."""
        generator = torch.Generator().manual_seed(seed)
        module = self.build().eval()
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.4)
            for part in module.modules():
                if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                    assert part.running_var is not None
                    part.running_var.add_(0.9)
        return module

    def inputs(self, batch: int = 3, seed: int = 1) -> Tensor:
        """Return a random batch, shape [batch, *input_shape]."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, *self.input_shape, generator=generator)


def mlp(norm: bool = False) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(12, 6)]
    if norm:
        layers.append(nn.LayerNorm(6))
    layers += [nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)]
    return nn.Sequential(*layers)


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the channels of an image, as the paper's ResNet20 has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def norm_of(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return ChannelLayerNorm(channels) if kind == "layer" else nn.Identity()


def vgg(norm: str) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        norm_of(norm, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        norm_of(norm, 6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 5),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(5, 3),
    )


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int, norm: str, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = norm_of(norm, outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = norm_of(norm, outside)
        self.pad = outside - inside if shortcut == "A" and stride == 2 else 0
        self.shortcut = nn.Sequential()
        if stride == 2 and shortcut in ("B", "3x3"):
            kernel = 1 if shortcut == "B" else 3
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, kernel, 2, kernel // 2, bias=False),
                norm_of(norm, outside),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        skip = self.shortcut(x)
        if self.pad:
            left = self.pad // 2
            skip = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, left, self.pad - left))
        return F.relu(out + skip)


class ResNet(nn.Module):
    def __init__(self, norm: str, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1, bias=False)
        self.bn1 = norm_of(norm, 3)
        self.layer1 = nn.Sequential(Block(3, 3, 1, norm, shortcut))
        self.layer2 = nn.Sequential(Block(3, 5, 2, norm, shortcut), Block(5, 5, 1, norm, shortcut))
        self.linear = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.linear(F.avg_pool2d(x, x.shape[3]).flatten(1))


# The residual stream of a ResNet with projection shortcuts: one group per stage, one per
# block inside. With option A the second stage's stream holds the first's in its middle: the
# 3 shared channels stay one group, the 1 + 1 channels around them, to which the shortcut adds
# nothing, are one group of two.
MODELS: tuple[Model, ...] = (
    Model("mlp", mlp, (12,), (6, 5)),
    Model("mlp-layernorm", lambda: mlp(norm=True), (12,), (6, 5)),
    Model("vgg", lambda: vgg("none"), (2, 8, 8), (4, 6, 5)),
    Model("vgg-batchnorm", lambda: vgg("batch"), (2, 8, 8), (4, 6, 5)),
    Model("vgg-layernorm", lambda: vgg("layer"), (2, 8, 8), (4, 6, 5)),
    Model("resnet-a", lambda: ResNet("batch", "A"), (2, 8, 8), (3, 3, 5, 2, 5)),
    Model("resnet-b", lambda: ResNet("batch", "B"), (2, 8, 8), (3, 3, 5, 5, 5)),
    Model("resnet-3x3", lambda: ResNet("layer", "3x3"), (2, 8, 8), (3, 3, 5, 5, 5)),
)
