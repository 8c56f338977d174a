"""Residual networks: basic, bottleneck, pre-activation, option A, grouped, multi-scale."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, image

Norm = Callable[[int], nn.Module]


def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)


def pooled(x: Tensor) -> Tensor:
    """Global average pooling."""
    return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)


class Basic(nn.Module):
    """Two 3×3 convolutions; a projection, a padded shortcut or the input itself."""

    def __init__(self, inside: int, outside: int, stride: int, norm: Norm, way: str) -> None:
        super().__init__()
        middle = outside + 1
        self.conv1, self.norm1 = conv(inside, middle, 3, stride), norm(middle)
        self.conv2, self.norm2 = conv(middle, outside), norm(outside)
        self.way = way if stride > 1 or inside != outside else "plain"
        if self.way == "projection":
            self.down = nn.Sequential(conv(inside, outside, 1, stride), norm(outside))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.way == "pad":
            half = (out.shape[1] - x.shape[1]) // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return F.relu(out + (self.down(x) if self.way == "projection" else x))


class PreActivation(nn.Module):
    """Norm and ReLU before each convolution; the shortcut starts after the first of them."""

    def __init__(self, inside: int, outside: int, stride: int, norm: Norm) -> None:
        super().__init__()
        middle = outside + 1
        self.norm1, self.conv1 = norm(inside), conv(inside, middle, 3, stride)
        self.norm2, self.conv2 = norm(middle), conv(middle, outside)
        self.down = conv(inside, outside, 1, stride) if inside != outside else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        skip = self.down(y) if self.down is not None else x
        return self.conv2(F.relu(self.norm2(self.conv1(y)))) + skip


class Bottleneck(nn.Module):
    """1×1, 3×3 (possibly grouped, possibly followed by squeeze-excite), 1×1."""

    def __init__(self, inside: int, middle: int, outside: int, stride: int, groups: int, se: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inside, middle, 1), nn.BatchNorm2d(middle)
        self.conv2 = conv(middle, middle, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(middle)
        self.se = SqueezeExcite(middle, se) if se else nn.Identity()
        self.conv3, self.bn3 = conv(middle, outside, 1), nn.BatchNorm2d(outside)
        self.down = nn.Sequential()
        if stride != 1 or inside != outside:
            self.down = nn.Sequential(conv(inside, outside, 1, stride), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(self.se(y))) + self.down(x))


class SqueezeExcite(nn.Module):
    """A gate per channel from the mean over positions."""

    def __init__(self, channels: int, squeezed: int, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.reduce, self.expand = (
            nn.Conv2d(channels, squeezed, 1),
            nn.Conv2d(squeezed, channels, 1),
        )
        self.gate = gate or nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(F.relu(self.reduce(mean))))


class StochasticDepth(nn.Module):
    """Drops a branch for a sample in training; nothing happens in eval mode."""

    def __init__(self, branch: nn.Module, rate: float = 0.2) -> None:
        super().__init__()
        self.branch, self.rate = branch, rate

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        if self.training:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.rate
            y = y * keep / (1 - self.rate)
        return F.relu(x + y)


class Stacked(nn.Module):
    """A stem, blocks one after the other, pooling and a classifier."""

    def __init__(self, stem: int, outside: int, *blocks: nn.Module, last: nn.Module | None = None):
        super().__init__()
        self.stem, self.norm = conv(3, stem), nn.BatchNorm2d(stem)
        self.blocks = nn.Sequential(*blocks)
        self.last = last or nn.Identity()
        self.fc = nn.Linear(outside, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled(F.relu(self.last(self.blocks(F.relu(self.norm(self.stem(x))))))))


def basic(way: str, norm: Norm = nn.BatchNorm2d) -> nn.Module:
    return Stacked(6, 10, Basic(6, 6, 1, norm, way), Basic(6, 10, 2, norm, way),
                   Basic(10, 10, 1, norm, way))  # fmt: skip


def bottleneck(groups: int = 1, se: int = 0) -> nn.Module:
    return Stacked(6, 12, Bottleneck(6, 4, 8, 1, groups, se), Bottleneck(8, 4, 8, 1, groups, se),
                   Bottleneck(8, 6, 12, 2, groups, se))  # fmt: skip


def pre_activation() -> nn.Module:
    norm = nn.BatchNorm2d
    blocks = (PreActivation(6, 6, 1, norm), PreActivation(6, 10, 2, norm))
    return Stacked(6, 10, *blocks, last=nn.BatchNorm2d(10))


def stochastic_depth() -> nn.Module:
    branch = nn.Sequential(conv(6, 9), nn.BatchNorm2d(9), nn.ReLU(), conv(9, 6))
    return Stacked(6, 6, StochasticDepth(branch), StochasticDepth(conv(6, 6)))


class Res2Block(nn.Module):
    """Channels in scales: each scale's convolution sees the one before it."""

    def __init__(self, channels: int, scales: int) -> None:
        super().__init__()
        self.inner = conv(channels, channels, 1)
        self.width = channels // scales
        self.convs = nn.ModuleList(conv(self.width, self.width) for _ in range(scales - 1))
        self.outer = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, *parts = torch.split(F.relu(self.inner(x)), self.width, 1)
        found = [first]
        for part, layer in zip(parts, self.convs, strict=True):
            held = part if len(found) == 1 else part + found[-1]
            found.append(F.relu(layer(held)))
        return F.relu(x + self.outer(torch.cat(found, 1)))


class HRNet(nn.Module):
    """Two resolutions side by side that exchange features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.high, self.low = conv(6, 5), conv(6, 8, 3, 2)
        self.up, self.down = conv(8, 5, 1), conv(5, 8, 3, 2)
        self.high2, self.low2 = conv(5, 7), conv(8, 9)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        high, low = F.relu(self.high(x)), F.relu(self.low(x))
        up = F.interpolate(self.up(low), size=high.shape[-2:], mode="bilinear", align_corners=True)
        high, low = F.relu(high + up), F.relu(low + self.down(high))
        high, low = F.relu(self.high2(high)), F.relu(self.low2(low))
        joined = torch.cat([high, F.interpolate(low, scale_factor=2.0, mode="nearest")], 1)
        return self.fc(pooled(joined))


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(1 if channels % 2 else 2, channels)


PICTURE = image(3, 8)
ARCHITECTURES = (
    Architecture("ResNet, basic blocks", "ResNet", lambda: basic("projection"), PICTURE,
                 (6, 7, 10, 11, 11)),
    Architecture("ResNet, bottlenecks", "ResNet", bottleneck, PICTURE,
                 (6, 4, 4, 8, 4, 4, 6, 6, 12)),
    Architecture("ResNet, pre-activation", "ResNet", pre_activation, PICTURE, (6, 7, 10, 11)),
    Architecture("ResNet, option A shortcuts", "ResNet", lambda: basic("pad"), PICTURE,
                 (6, 7, 4, 11, 11)),
    Architecture("ResNet, stochastic depth", "ResNet", stochastic_depth, PICTURE, (6, 9)),
    Architecture("ResNet, GroupNorm", "ResNet", lambda: basic("projection", group_norm), PICTURE),
    Architecture("ResNeXt", "ResNeXt", lambda: bottleneck(groups=2), PICTURE),
    Architecture("RegNetY", "RegNet", lambda: bottleneck(groups=2, se=3), PICTURE),
    Architecture("Res2Net", "Res2Net", lambda: Stacked(8, 8, Res2Block(8, 4)), PICTURE,
                 (8, 2, 2, 2, 2, 2)),
    Architecture("HRNet", "HRNet", HRNet, PICTURE, (6, 5, 8, 7, 9)),
)  # fmt: skip
