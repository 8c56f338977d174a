"""The networks that are matched in benchmarks/, with random weights, and their symmetries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry


def conv(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """torchvision's BasicBlock (two 3×3) or Bottleneck (1×1, 3×3, 1×1), by its kernels."""

    def __init__(self, inside: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outside = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1, self.bn1 = conv(inside, width, 1), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = conv(width, outside, 1), nn.BatchNorm2d(outside)
        else:
            self.conv1, self.bn1 = conv(inside, width, 3, stride), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.depth = 3 if bottleneck else 2
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                conv(inside, outside, 1, stride), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for k in range(1, self.depth + 1):
            out = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(out))
            out = self.relu(out) if k < self.depth else out
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """torchvision's ResNet for ImageNet, layout and initialisation."""

    def __init__(self, blocks: tuple[int, ...], bottleneck: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        inside, stages = 64, []
        for stage, count in enumerate(blocks):
            width, layers = 64 * 2**stage, []
            for k in range(count):
                layers.append(Block(inside, width, 2 if stage and not k else 1, bottleneck))
                inside = 4 * width if bottleneck else width
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inside, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def mnist_mlp() -> nn.Module:
    sizes = (784, 512, 512, 512, 10)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class SmallBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm, and a projection where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inside, outside, 3, stride), nn.BatchNorm2d(outside)
        self.conv2, self.bn2 = conv(outside, outside, 3), nn.BatchNorm2d(outside)
        self.down = nn.Sequential()
        if stride != 1 or inside != outside:
            self.down = nn.Sequential(conv(inside, outside, 3, stride), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.down(x))


def resnet20(width: int) -> nn.Module:
    """Return CIFAR-10's ResNet20 with 16, 32 and 64 channels times the width."""
    layers: list[nn.Module] = [conv(3, 16 * width, 3), nn.BatchNorm2d(16 * width), nn.ReLU()]
    inside = 16 * width
    for stage in range(3):
        for block in range(3):
            outside = 16 * width * 2**stage
            layers.append(SmallBlock(inside, outside, 2 if stage and not block else 1))
            inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


def vgg16() -> nn.Module:
    """Return CIFAR-10's VGG16: 64 to 512 channels, two hidden layers of 512."""
    layers: list[nn.Module] = []
    inside = 3
    for outside in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, *(512, 512, 512, 0) * 2):
        if outside:
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
            inside = outside
        else:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10))


@dataclass(frozen=True)
class Case:
    """A model to be matched with another of the same kind, and its inputs' shape."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    large: bool = False

    def model(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.build().eval()


CASES = (
    Case("MNIST MLP 3×512", mnist_mlp, (784,)),
    Case("VGG16 512", vgg16, (3, 32, 32)),
    Case("ResNet20×8", lambda: resnet20(8), (3, 32, 32)),
    Case("ResNet18", lambda: ResNet((2, 2, 2, 2), False), (3, 64, 64)),
    Case("ResNet50", lambda: ResNet((3, 4, 6, 3), True), (3, 64, 64), large=True),
    Case("ResNet20×32", lambda: resnet20(32), (3, 32, 32), large=True),
)


def traced(case: Case, model: nn.Module) -> tuple[Program, Symmetry]:
    program = capture(model, torch.zeros(2, *case.shape))
    return program, derive_symmetry(program)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}
