"""Networks that concatenate: VGG with two towers, Inception, SqueezeNet, DenseNet, U-Nets."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, image
from tests.zoo.residual import conv, pooled


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    for inside, outside in ((3, 5), (5, 6), (6, 7)):
        layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(True)]
        layers += [nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(7, 9), nn.ReLU(True), nn.Dropout(), nn.Linear(9, 4)]
    return nn.Sequential(*layers)


class Inception(nn.Module):
    """Four branches side by side, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.first, self.second = Branches(6), Branches(17)
        self.fc = nn.Linear(17, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled(self.second(self.first(F.relu(self.stem(x))))))


class Branches(nn.Module):
    def __init__(self, inside: int) -> None:
        super().__init__()
        self.one = nn.Sequential(conv(inside, 3, 1), nn.BatchNorm2d(3))
        self.three = nn.Sequential(conv(inside, 7, 1), nn.ReLU(), conv(7, 4))
        self.five = nn.Sequential(conv(inside, 2, 1), nn.ReLU(), conv(2, 5, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inside, 5, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1))


class Fire(nn.Module):
    """SqueezeNet's module: squeeze, then expand by 1×1 and 3×3."""

    def __init__(self, inside: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, expanded, 1), conv(squeezed, expanded)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    return nn.Sequential(conv(3, 6, 3, 2), nn.ReLU(), Fire(6, 3, 5), Fire(10, 4, 7),
                         nn.Dropout(), nn.Conv2d(14, 4, 1), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten())  # fmt: skip


class DenseLayer(nn.Module):
    """Norm, 1×1, norm, 3×3 over everything before; its result is joined on."""

    def __init__(self, inside: int, middle: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inside), conv(inside, middle, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(middle), conv(middle, growth)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return torch.cat([x, y], 1)


def densenet() -> nn.Module:
    """Two dense blocks of two layers each with a transition between them."""
    return nn.Sequential(
        conv(3, 6), nn.BatchNorm2d(6), nn.ReLU(),
        DenseLayer(6, 7, 3), DenseLayer(9, 7, 3),
        nn.BatchNorm2d(12), nn.ReLU(), conv(12, 5, 1), nn.AvgPool2d(2),
        DenseLayer(5, 7, 3), DenseLayer(8, 7, 3),
        nn.BatchNorm2d(11), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(11, 4),
    )  # fmt: skip


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions or bilinear, skips by concatenation."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = conv(3, 5), conv(5, 6), conv(6, 8)
        self.up2 = nn.ConvTranspose2d(8, 7, 2, 2) if transposed else Upsample(8, 7)
        self.join2 = conv(13, 9)
        self.up1 = nn.ConvTranspose2d(9, 4, 2, 2) if transposed else Upsample(9, 4)
        self.join1 = conv(9, 10)
        self.norm = nn.GroupNorm(1, 10)
        self.out = nn.Conv2d(10, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.gelu(self.down1(x))
        second = F.gelu(self.down2(F.max_pool2d(first, 2)))
        third = F.gelu(self.down3(F.max_pool2d(second, 2)))
        second = F.gelu(self.join2(torch.cat([second, self.up2(third)], 1)))
        first = self.join1(torch.cat([self.up1(second), first], 1))
        return self.out(F.gelu(self.norm(first)))


class Upsample(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = conv(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


class Pyramid(nn.Module):
    """Feature pyramid with dilated convolutions, as DeepLab's head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = conv(3, 6), conv(6, 8, 3, 2)
        self.rates = nn.ModuleList(
            nn.Conv2d(8, 5, 3, padding=rate, dilation=rate, bias=False) for rate in (1, 2)
        )
        self.whole = nn.Conv2d(8, 3, 1)
        self.lateral, self.merge = conv(6, 7, 1), conv(13, 7, 1)
        self.out = nn.Conv2d(7, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        early = F.relu(self.stem(x))
        deep = F.relu(self.deep(early))
        whole = F.interpolate(self.whole(F.adaptive_avg_pool2d(deep, 1)), size=deep.shape[2:])
        seen = torch.cat([F.relu(layer(deep)) for layer in self.rates] + [whole], 1)
        up = F.interpolate(self.merge(seen), scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(F.relu(self.lateral(early) + up))


class SuperResolution(nn.Module):
    """Sub-pixel convolution, with a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = conv(3, 6), conv(6, 6), conv(6, 5 * 4)
        self.slopes, self.last = nn.PReLU(6), conv(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.slopes(self.first(x))
        x = x + F.relu(self.second(x))
        return self.last(F.relu(F.pixel_shuffle(self.third(x), 2)))


class Autoencoder(nn.Module):
    """Strided down, transposed up, with a flat code between."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 5, 4, 2, 1), nn.Conv2d(5, 6, 4, 2, 1)
        self.code, self.back = nn.Linear(24, 7), nn.Linear(7, 24)
        self.up1 = nn.ConvTranspose2d(6, 8, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.down2(F.leaky_relu(self.down1(x), 0.2)), 0.2)
        code = torch.tanh(self.code(x.flatten(1)))
        return torch.sigmoid(self.up2(F.relu(self.up1(self.back(code).unflatten(1, (6, 2, 2))))))


PICTURE = image(3, 8)
ARCHITECTURES = (
    Architecture("VGG", "VGG", vgg, PICTURE, (5, 6, 7, 9)),
    Architecture("Inception", "Inception", Inception, PICTURE,
                 (6, 3, 7, 4, 2, 5, 5, 3, 7, 4, 2, 5, 5)),
    Architecture("SqueezeNet", "SqueezeNet", squeezenet, PICTURE, (6, 3, 5, 5, 4, 7, 7)),
    Architecture("DenseNet", "DenseNet", densenet, PICTURE, (6, 7, 3, 7, 3, 5, 7, 3, 7, 3)),
    Architecture("U-Net, transposed", "U-Net", lambda: UNet(True), PICTURE,
                 (5, 6, 8, 7, 9, 4, 10)),
    Architecture("U-Net, bilinear", "U-Net", lambda: UNet(False), PICTURE, (5, 6, 8, 7, 9, 4, 10)),
    Architecture("DeepLab head", "DeepLab", Pyramid, PICTURE, (6, 8, 5, 5, 3, 7)),
    Architecture("Sub-pixel super-resolution", "ESPCN", SuperResolution, PICTURE, (6, 5)),
    Architecture("Convolutional autoencoder", "Autoencoder", Autoencoder, PICTURE, (5, 6, 7, 6, 8)),
)  # fmt: skip
