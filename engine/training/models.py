"""The recipes' networks as plain modules, with the key layouts of the public repositories.

MLP: a bare `nn.Sequential`. ResNet20: the keys of kuangliu/pytorch-cifar (`layer1.0.conv1`,
`shortcut.0`, `linear`) at the CIFAR widths 16, 32, 64 times the width. VGG16: `features.N`
and `classifier.N`, with Git Re-Basin's three-layer classifier of 8 · width units.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import TrainingError
from engine.families.pieces import ChannelNorm

_VGG16 = (1, 1, "pool", 2, 2, "pool", 4, 4, 4, "pool", 8, 8, 8, "pool", 8, 8, 8, "pool")
_VGG_POOLING = 32  # five poolings by two


def mlp(inputs: tuple[int, ...], classes: int, widths: tuple[int, ...]) -> nn.Module:
    """Return linear layers with ReLU between them, over flat inputs; keys 0.weight, 2.weight …"""
    layers: list[nn.Module] = []
    size = prod(inputs)
    for width in widths:
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, classes))


def resnet20(
    inputs: tuple[int, ...], classes: int, width: int, norm: str, shortcut: str
) -> nn.Module:
    """Return a CIFAR ResNet of three stages of three blocks, 16·width channels in the first."""
    blocks = (3, 3, 3)
    return ResNet(inputs[0], classes, blocks=blocks, width=16 * width, norm=norm, shortcut=shortcut)


def vgg16(inputs: tuple[int, ...], classes: int, width: int, norm: str) -> nn.Module:
    """Return VGG16 with `width` channels in its first layer, 64 in the original.

    Raises:
        TrainingError: the images are smaller than the five poolings need.
    """
    channels, height, rows = inputs
    if min(height, rows) < _VGG_POOLING:
        raise TrainingError(
            f"VGG16 needs images of at least {_VGG_POOLING} × {_VGG_POOLING} pixels; these are "
            f"{height} × {rows}."
        )
    return VGG(channels, (height // 32) * (rows // 32), classes, width, norm)


def _norm(kind: str, channels: int) -> list[nn.Module]:
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [ChannelNorm(channels)] if kind == "layer" else []


class Block(nn.Module):
    """Two 3×3 convolutions with a norm each, around a shortcut.

    Args:
        inside, outside: channels.
        stride: 2 halves the image; only then is the shortcut not the identity.
        norm: "batch" or "layer".
        shortcut: "B" (1×1 convolution), "3x3", or "A" (subsampling and zero channels).
    """

    def __init__(self, inside: int, outside: int, stride: int, norm: str, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        (self.bn1,) = _norm(norm, outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        (self.bn2,) = _norm(norm, outside)
        self.zeros = 0
        self.shortcut = nn.Sequential()
        if stride == 2 and shortcut == "A":
            self.zeros = (outside - inside) // 2
        elif stride == 2:
            kernel = 1 if shortcut == "B" else 3
            convolution = nn.Conv2d(inside, outside, kernel, 2, kernel // 2, bias=False)
            self.shortcut = nn.Sequential(convolution, *_norm(norm, outside))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.zeros:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """A CIFAR ResNet: a convolution, stages of blocks, mean over the image, a linear layer."""

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        blocks: tuple[int, ...],
        width: int,
        norm: str,
        shortcut: str,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        (self.bn1,) = _norm(norm, width)
        inside = width
        self.stages = len(blocks)
        for stage, count in enumerate(blocks):
            outside = width * 2**stage
            parts = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                parts.append(Block(inside, outside, stride, norm, shortcut))
                inside = outside
            self.add_module(f"layer{stage + 1}", nn.Sequential(*parts))
        self.linear = nn.Linear(inside, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.linear(x.mean((2, 3)))


class VGG(nn.Module):
    """3×3 convolutions with poolings between, then three linear layers.

    `positions` is how many places of the last image reach the classifier.
    """

    def __init__(self, channels: int, positions: int, classes: int, width: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for entry in _VGG16:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2))
                continue
            outside = entry * width
            layers += [nn.Conv2d(channels, outside, 3, padding=1), *_norm(norm, outside), nn.ReLU()]
            channels = outside
        self.features = nn.Sequential(*layers)
        hidden = 8 * width
        self.classifier = nn.Sequential(
            nn.Linear(channels * positions, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
