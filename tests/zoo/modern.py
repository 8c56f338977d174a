"""Convolutional networks after ConvNeXt, and mixers of tokens without attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, features, image
from tests.zoo.residual import conv, pooled


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of an image, by moving them last or written out."""

    def __init__(self, channels: int, written_out: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.ones(channels)) for _ in range(2))
        self.written_out = written_out

    def forward(self, x: Tensor) -> Tensor:
        if not self.written_out:
            x = x.permute(0, 2, 3, 1)
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias).permute(0, 3, 1, 2)
        centred = x - x.mean(1, keepdim=True)
        x = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ConvNeXtBlock(nn.Module):
    """Depthwise, LayerNorm, an MLP over channels (with global response norm), layer scale."""

    def __init__(self, channels: int, middle: int, response: bool) -> None:
        super().__init__()
        self.depth = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up, self.down = nn.Linear(channels, middle), nn.Linear(middle, channels)
        self.scale = nn.Parameter(torch.ones(channels))
        self.response = response
        self.gain, self.shift = (nn.Parameter(torch.ones(1, 1, 1, middle)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.up(self.norm(self.depth(x).permute(0, 2, 3, 1))))
        if self.response:
            norm = torch.norm(y, p=2, dim=(1, 2), keepdim=True)
            y = self.gain * (y * norm / (norm.mean(-1, keepdim=True) + 1e-6)) + self.shift + y
        return x + (self.scale * self.down(y)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, response: bool = False) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 2, 2), ChannelNorm(6)
        self.block1, self.block2 = ConvNeXtBlock(6, 9, response), ConvNeXtBlock(8, 10, response)
        self.between = nn.Sequential(ChannelNorm(6, True), nn.Conv2d(6, 8, 2, 2))
        self.last, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(self.block1(self.norm(self.stem(x))))
        return self.head(self.last(self.block2(x).mean((-2, -1))))


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def convmixer() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 6, 2, 2), nn.GELU(), nn.BatchNorm2d(6)]
    for _ in range(2):
        layers += [Residual(conv(6, 6, 3, 1, 6), nn.GELU(), nn.BatchNorm2d(6))]
        layers += [conv(6, 6, 1), nn.GELU(), nn.BatchNorm2d(6)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))


class PoolMixer(nn.Module):
    """PoolFormer: tokens mixed by average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm1, self.norm2 = (
            nn.Conv2d(3, 6, 2, 2),
            nn.GroupNorm(1, 6),
            ChannelNorm(6),
        )
        self.up, self.down = nn.Conv2d(6, 9, 1), nn.Conv2d(9, 6, 1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm1(x)
        x = x + F.avg_pool2d(y, 3, 1, 1, count_include_pad=False) - y
        return self.fc(pooled(x + self.down(F.gelu(self.up(self.norm2(x))))))


class MixerBlock(nn.Module):
    """MLP-Mixer's block, or gMLP's with a spatial gate, or ResMLP's with affine maps."""

    def __init__(self, places: int, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.across = nn.Sequential(nn.Linear(places, 5), nn.GELU(), nn.Linear(5, places))
        self.within = nn.Sequential(nn.Linear(channels, 9), nn.GELU(), nn.Linear(9, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class GatedBlock(nn.Module):
    def __init__(self, places: int, channels: int) -> None:
        super().__init__()
        self.norm, self.up = nn.LayerNorm(channels), nn.Linear(channels, 10)
        self.inner, self.across = nn.LayerNorm(5), nn.Conv1d(places, places, 1)
        self.down = nn.Linear(5, channels)

    def forward(self, x: Tensor) -> Tensor:
        u, v = F.gelu(self.up(self.norm(x))).chunk(2, dim=-1)
        return x + self.down(u * self.across(self.inner(v)))


class AffineBlock(nn.Module):
    def __init__(self, places: int, channels: int) -> None:
        super().__init__()
        self.gains = nn.ParameterList(torch.ones(channels) for _ in range(4))
        self.across = nn.Linear(places, places)
        self.within = nn.Sequential(nn.Linear(channels, 9), nn.GELU(), nn.Linear(9, channels))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.addcmul(self.gains[1], self.gains[0], x)
        x = x + self.across(y.transpose(1, 2)).transpose(1, 2)
        return x + self.within(torch.addcmul(self.gains[3], self.gains[2], x))


class Tokens(nn.Module):
    """Patches as tokens, blocks over them, the mean over tokens, a classifier."""

    def __init__(self, block: type[nn.Module]) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(block(4, 8), block(4, 8))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


def layer_norm_net() -> nn.Module:
    return nn.Sequential(
        conv(3, 6), ChannelNorm(6), nn.ReLU(),
        conv(6, 7, 3, 2), nn.LayerNorm([7, 4, 4]), nn.ReLU(),
        conv(7, 8), nn.InstanceNorm2d(8, affine=True), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


PICTURE = image(3, 8)
ARCHITECTURES = (
    Architecture("LayerNorm and InstanceNorm ConvNet", "norms", layer_norm_net, PICTURE, (6, 7, 8)),
    Architecture("ConvNeXt", "ConvNeXt", ConvNeXt, PICTURE, (6, 9, 8, 10)),
    Architecture("ConvNeXtV2", "ConvNeXt", lambda: ConvNeXt(True), PICTURE, (6, 9, 8, 10)),
    Architecture("ConvMixer", "ConvMixer", convmixer, PICTURE, (6, 6, 6)),
    Architecture("PoolFormer", "PoolFormer", PoolMixer, PICTURE, (6, 9)),
    Architecture("MLP-Mixer", "Mixer", lambda: Tokens(MixerBlock), PICTURE, (8, 5, 9, 5, 9)),
    Architecture("gMLP", "Mixer", lambda: Tokens(GatedBlock), PICTURE, (8, 5, 5)),
    Architecture("ResMLP", "Mixer", lambda: Tokens(AffineBlock), PICTURE, (8, 9, 9)),
    Architecture("MLP with BatchNorm", "MLP", lambda: nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 7), nn.SELU(), nn.Linear(7, 3)
    ), features(6), (8, 7)),
)  # fmt: skip
