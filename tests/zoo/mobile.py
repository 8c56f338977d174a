"""Networks of depthwise and grouped convolutions: MobileNets, EfficientNet, ShuffleNets."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, image
from tests.zoo.residual import SqueezeExcite, Stacked, conv, pooled


class InvertedResidual(nn.Module):
    """Expand, depthwise, (squeeze-excite,) project; added where the shape stays."""

    def __init__(
        self, inside: int, middle: int, outside: int, stride: int, activation: nn.Module, se: str
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv(inside, middle, 1), nn.BatchNorm2d(middle), activation]
        layers += [conv(middle, middle, 3, stride, middle), nn.BatchNorm2d(middle), activation]
        if se:
            gate = nn.Hardsigmoid() if se == "hard" else nn.Sigmoid()
            layers.append(SqueezeExcite(middle, 3, gate))
        layers += [conv(middle, outside, 1), nn.BatchNorm2d(outside)]
        self.layers = nn.Sequential(*layers)
        self.added = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.added else self.layers(x)


def inverted(activation: type[nn.Module], se: str) -> nn.Module:
    act = activation()
    blocks = (InvertedResidual(6, 8, 6, 1, act, se), InvertedResidual(6, 10, 7, 2, act, se))
    return Stacked(6, 9, *blocks, last=nn.Sequential(conv(7, 9, 1), nn.BatchNorm2d(9), act))


class ShuffleBlock(nn.Module):
    """ShuffleNet's unit: grouped 1×1, channel shuffle, depthwise, grouped 1×1."""

    def __init__(self, channels: int, middle: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.conv1, self.norm1 = conv(channels, middle, 1, 1, groups), nn.BatchNorm2d(middle)
        self.conv2, self.norm2 = conv(middle, middle, 3, 1, middle), nn.BatchNorm2d(middle)
        self.conv3, self.norm3 = conv(middle, channels, 1, 1, groups), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = shuffled(F.relu(self.norm1(self.conv1(x))), self.groups)
        return F.relu(x + self.norm3(self.conv3(self.norm2(self.conv2(y)))))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels (group, inner) become (inner, group)."""
    n, channels, height, width = x.shape
    x = x.view(n, groups, channels // groups, height, width).transpose(1, 2).contiguous()
    return x.view(n, channels, height, width)


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels passes, half is convolved; then a shuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(),
            conv(half, half, 3, 1, half), nn.BatchNorm2d(half),
            conv(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        passing, convolved = x.chunk(2, 1)
        return shuffled(torch.cat([passing, self.branch(convolved)], 1), 2)


class ShuffleDown(nn.Module):
    """ShuffleNetV2's unit of stride 2: both halves are convolved."""

    def __init__(self, inside: int, half: int) -> None:
        super().__init__()
        self.left = nn.Sequential(conv(inside, inside, 3, 2, inside), conv(inside, half, 1))
        self.right = nn.Sequential(
            conv(inside, half, 1), nn.ReLU(), conv(half, half, 3, 2, half), conv(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return shuffled(torch.cat([self.left(x).relu(), self.right(x).relu()], 1), 2)


class Ghost(nn.Module):
    """GhostNet's module: half of the channels are cheap depthwise copies of the other half."""

    def __init__(self, inside: int, half: int) -> None:
        super().__init__()
        self.primary, self.cheap = conv(inside, half, 1), conv(half, half, 3, 1, half)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.primary(x))
        return torch.cat([x, F.relu(self.cheap(x))], 1)


class Separable(nn.Module):
    """MobileNetV1 and Xception: depthwise with several outputs per channel, then 1×1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        self.depth1, self.point1 = nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.Conv2d(8, 6, 1)
        self.depth2, self.point2 = nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.Conv2d(6, 7, 1)
        self.fc = nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.point1(F.relu(self.depth1(F.relu(self.stem(x))))))
        return self.fc(pooled(F.relu(self.point2(F.relu(self.depth2(x))))))


PICTURE = image(3, 8)
ARCHITECTURES = (
    Architecture("MobileNetV1", "MobileNet", Separable, PICTURE, (4, 2, 6, 7)),
    Architecture("MobileNetV2", "MobileNet", lambda: inverted(nn.ReLU6, ""), PICTURE,
                 (6, 8, 10, 7, 9)),
    Architecture("MobileNetV3", "MobileNet", lambda: inverted(nn.Hardswish, "hard"), PICTURE,
                 (6, 8, 3, 10, 3, 7, 9)),
    Architecture("EfficientNet", "EfficientNet", lambda: inverted(nn.SiLU, "soft"), PICTURE,
                 (6, 8, 3, 10, 3, 7, 9)),
    Architecture("GhostNet", "GhostNet", lambda: Stacked(6, 10, Ghost(6, 4), Ghost(8, 5)), PICTURE,
                 (6, 4, 5)),
    Architecture("ShuffleNetV1", "ShuffleNet", lambda: Stacked(8, 8, ShuffleBlock(8, 8, 2),
                 ShuffleBlock(8, 8, 2)), PICTURE, (4, 4, *(2, 2, 2, 2) * 2)),
    Architecture("ShuffleNetV2", "ShuffleNet", lambda: Stacked(6, 16, ShuffleDown(6, 8),
                 ShuffleUnit(16), ShuffleUnit(16)), PICTURE,
                 (6, 8, 2, 2, 4, 2, 2, 4, 8, 4, 4, 8, 8)),
)  # fmt: skip
