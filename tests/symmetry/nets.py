"""Networks of the shapes that people really use, at small widths, with groups by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Bottleneck(nn.Module):
    """1×1, 3×3 (possibly grouped), 1×1, with a projection where the shape changes."""

    def __init__(self, inside: int, middle: int, outside: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.down = nn.Sequential()
        if stride != 1 or inside != outside:
            self.down = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.down(x))


class DeepResNet(nn.Module):
    """ResNet50's graph (or ResNeXt's, with groups) at any width."""

    def __init__(self, width: int, depths: tuple[int, ...] = (3, 4, 6, 3), groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inside, blocks = width, []
        for stage, depth in enumerate(depths):
            middle = width * 2**stage
            for index in range(depth):
                stride = 2 if stage and not index else 1
                blocks.append(Bottleneck(inside, middle, 4 * middle, stride, groups))
                inside = 4 * middle
        self.layers = nn.Sequential(*blocks)
        self.fc = nn.Linear(inside, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.layers(x), (1, 1)), 1))


class DenseNet(nn.Module):
    """Concatenated features: BatchNorm and a convolution over all that came before."""

    def __init__(self, growth: int = 3, layers: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + growth * i) for i in range(layers))
        self.convs = nn.ModuleList(
            nn.Conv2d(4 + growth * i, growth, 3, padding=1) for i in range(layers)
        )
        self.head = nn.Linear(4 + growth * layers, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        return self.head(torch.cat(features, 1).mean((2, 3)))


class MobileNet(nn.Module):
    """Inverted residual with a depthwise convolution and squeeze-excite."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.expand = nn.Conv2d(4, 6, 1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.squeeze = nn.Conv2d(6, 3, 1)
        self.excite = nn.Conv2d(3, 6, 1)
        self.project = nn.Conv2d(6, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x))
        y = F.hardswish(self.depthwise(F.silu(self.expand(x))))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return self.head((x + self.project(y * gate)).mean((2, 3)))


class UNet(nn.Module):
    """Down, up by a transposed convolution and by interpolation, skips by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(2, 4, 3, padding=1)
        self.down2 = nn.Conv2d(4, 5, 3, padding=1)
        self.up = nn.ConvTranspose2d(5, 3, 2, stride=2)
        self.join = nn.Conv2d(4 + 3 + 5, 6, 3, padding=1)
        self.norm = nn.GroupNorm(2, 6)
        self.out = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.gelu(self.down1(x))
        second = F.gelu(self.down2(F.avg_pool2d(first, 2)))
        again = F.interpolate(second, scale_factor=2.0, mode="nearest")
        x = torch.cat([first, self.up(second), again], 1)
        return self.out(F.gelu(self.norm(self.join(x)))).flatten(1)


class Attention(nn.Module):
    """A pre-norm transformer block over an embedding, with separate q, k and v."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.token = nn.Embedding(11, width)
        self.place = nn.Parameter(torch.zeros(1, 5, width))
        self.norm1 = nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.head = nn.Linear(width, 11, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.place
        n, length, width = x.shape
        y = self.norm1(x)
        q, k, v = (
            part(y).view(n, length, self.heads, width // self.heads).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, width))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x)[:, -1]


class Mixer(nn.Module):
    """Tokens from patches, mixed across tokens and across channels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 6, 4, 4)
        self.norm1 = nn.LayerNorm(6)
        self.across1, self.across2 = nn.Linear(4, 5), nn.Linear(5, 4)
        self.norm2 = nn.LayerNorm(6)
        self.within1, self.within2 = nn.Linear(6, 7), nn.Linear(7, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        y = self.across2(F.gelu(self.across1(self.norm1(x).transpose(1, 2))))
        x = x + y.transpose(1, 2)
        x = x + self.within2(F.gelu(self.within1(self.norm2(x))))
        return self.head(x.mean(1))


def resnet18_like() -> nn.Module:
    return DeepResNet(4, (2, 2, 2, 2))


def resnext() -> nn.Module:
    return DeepResNet(4, (1, 1), groups=2)
