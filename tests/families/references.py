"""Reference modules with the key names of public repositories, independent of the engine.

Each class names the layout that it has; widths and depths are small and free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.families import Recognition, build_program

PATTERNS = {
    "VGG11": "1 M 2 M 4 4 M 8 8 M 8 8 M",
    "VGG13": "1 1 M 2 2 M 4 4 M 8 8 M 8 8 M",
    "VGG16": "1 1 M 2 2 M 4 4 4 M 8 8 8 M 8 8 8 M",
    "VGG19": "1 1 M 2 2 M 4 4 4 4 M 8 8 8 8 M 8 8 8 8 M",
}


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Move every parameter and buffer away from its special initial value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.add_(noise if name.endswith("running_var") else 0.3 * (noise - 0.5))
    return module.eval()


def assert_same_function(
    module: nn.Module, recognition: Recognition, batch: int = 3, traced: bool = True
) -> None:
    """The recognised Program, fed the module's own state dict, gives the module's outputs.

    With `traced=False` the recognised module itself is compared, which is faster.
    """
    state = randomised(module).state_dict()
    x = torch.randn(batch, *recognition.input_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(x)
        if traced:
            found = build_program(recognition)(state, x)
        else:
            own = {name: state[theirs] for name, theirs in recognition.names.items()}
            again = recognition.module()
            assert own.keys() == {n for n in again.state_dict() if not n.endswith("_tracked")}
            found = torch.func.functional_call(again, own, (x,))
    assert found.shape == (batch, recognition.classes)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class FlatLayerNorm(nn.LayerNorm):
    """LayerNorm over channels; its tensors are `weight` and `bias` (rethink-re-basin)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class WrappedGroupNorm(nn.Module):
    """LayerNorm over the whole image, tensors below `layer_norm` (a port of Git Re-Basin)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.GroupNorm(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_norm(x)


NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "batch": nn.BatchNorm2d,
    "layer": FlatLayerNorm,
    "group": WrappedGroupNorm,
}


# --- MLPs ------------------------------------------------------------------------------------


def sequential_mlp(
    widths: Sequence[int],
    norm: Callable[[int], nn.Module] | None = None,
    activation: Callable[[], nn.Module] = nn.ReLU,
    bias: bool = True,
    norm_last: bool = False,
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (inside, outside) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(inside, outside, bias=bias))
        if i < len(widths) - 2:
            after = [norm(outside)] if norm else []
            layers += [activation(), *after] if norm_last else [*after, activation()]
    return nn.Sequential(*layers)


class NamedMLP(nn.Module):
    """Linear layers under given attribute names, in running order."""

    def __init__(self, names: Sequence[str], widths: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(names)
        for name, inside, outside in zip(names, widths[:-1], widths[1:], strict=True):
            self.add_module(name, nn.Linear(inside, outside))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order[:-1]:
            x = F.relu(self.get_submodule(name)(x))
        return self.get_submodule(self.order[-1])(x)


class RepairMLP(nn.Module):
    """fc1, bn1, layers.N (linear without bias, BatchNorm, ReLU), fc2: REPAIR's MNIST MLP."""

    def __init__(self, inputs: int, width: int, layers: int, classes: int) -> None:
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width)
        middle: list[nn.Module] = []
        for _ in range(layers):
            middle += [nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        self.layers = nn.Sequential(*middle)
        self.fc2 = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.layers(F.relu(self.bn1(self.fc1(x)))))


# --- VGGs ------------------------------------------------------------------------------------


def vgg_features(
    pattern: str, width: int, norm: str, channels: int = 3, bias: bool = True, dropout: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for unit in pattern.split():
        if unit == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        outside = int(unit) * width
        layers.append(nn.Conv2d(channels, outside, 3, padding=1, bias=bias))
        make = NORMS[norm]
        layers += [make(outside)] if make else []
        layers += [nn.ReLU(), nn.Dropout()] if dropout else [nn.ReLU()]
        channels = outside
    return nn.Sequential(*layers)


class KuangliuVGG(nn.Module):
    """`features.N` and one linear `classifier` (kuangliu, REPAIR, Git Re-Basin's ports)."""

    def __init__(self, features: nn.Sequential, inputs: int, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(*features, nn.AvgPool2d(1, 1))
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class TorchvisionVGG(nn.Module):
    """`classifier.{0,3,6}` behind an adaptive average to size×size (torchvision, chenyaofo)."""

    def __init__(self, features: nn.Module, inputs: int, size: int, hidden: int) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.classifier = nn.Sequential(
            nn.Linear(inputs * size * size, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class ChengyangfuVGG(nn.Module):
    """`classifier.{1,4,6}`; on several GPUs its keys are `features.module.N`."""

    def __init__(self, features: nn.Module, width: int) -> None:
        super().__init__()
        self.features = features
        layers = [nn.Dropout(), nn.Linear(width, width), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(
            *layers, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class RethinkVGG(nn.Module):
    """No last max-pool, an average over 2×2 instead, `classifier.0` (rethink-re-basin)."""

    def __init__(self, features: nn.Sequential, inputs: int) -> None:
        super().__init__()
        self.features = features[:-1]
        self.avgpool = nn.AvgPool2d(2)
        self.classifier = nn.Sequential(nn.Linear(inputs, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class NamedVGG(nn.Module):
    """VGG11 with conv1, bn1, … fc1, fc2: nothing numbered in a Sequential."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels, self.pools = 3, []
        for i, unit in enumerate(PATTERNS["VGG11"].replace(" M", "M").split(), start=1):
            outside = int(unit.rstrip("M")) * width
            self.add_module(f"conv{i}", nn.Conv2d(channels, outside, 3, padding=1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(outside))
            self.pools.append(unit.endswith("M"))
            channels = outside
        self.fc1, self.fc2 = nn.Linear(channels, 12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        for i, pool in enumerate(self.pools, start=1):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
            x = F.max_pool2d(x, 2) if pool else x
        return self.fc2(F.relu(self.fc1(x.flatten(1))))
