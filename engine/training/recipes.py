"""The trainings that Basinscope can do: model, data and hyperparameters by name.

`mnist-mlp` is Git Re-Basin's MNIST setting (Adam 1e-3, batch 500, pixels / 255 only) with 20
epochs instead of the paper's 100. `cifar10-resnet20` and `cifar10-vgg16` follow its CIFAR
code (SGD 0.1, momentum 0.9, batch 100, augmentation, weight decay); their networks have
BatchNorm unless `norm="layer"` asks for the paper's LayerNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from engine.errors import TrainingError
from engine.training.augment import augment
from engine.training.models import mlp, resnet20, vgg16

WARMUP_STEPS = 10


@dataclass(frozen=True)
class Shape:
    """What a recipe's model is built from.

    Attributes:
        inputs: one sample's shape, without the batch.
        classes: number of classes.
        width: hidden units of the MLP, the paper's width multiplier of the others: 16 · width
            channels in ResNet20's first stage, 1 · width in VGG16's.
        norm: "batch", "layer" or "none".
        shortcut: "A", "B" or "3x3"; only the ResNet has one.
    """

    inputs: tuple[int, ...]
    classes: int
    width: int
    norm: str
    shortcut: str


@dataclass(frozen=True)
class Recipe:
    """One training with its defaults.

    Attributes:
        title: shown to the user.
        data: name of the data set.
        build: makes the module.
        flat: whether the model takes vectors instead of images.
        width, optimiser, epochs, batch_size: defaults.
        rates: optimiser → default learning rate (the peak, for SGD).
        norms, shortcuts: allowed values, the default first.
        weight_decay: of SGD.
        warmup_epochs: of SGD's linear rise; 0 means `WARMUP_STEPS` steps.
        augment: applied to each training batch in 0 … 1, or None.
        paper_epochs: what the paper trained for.
    """

    title: str
    data: str
    build: Callable[[Shape], nn.Module]
    flat: bool
    width: int
    optimiser: str
    rates: Mapping[str, float]
    epochs: int
    paper_epochs: int
    batch_size: int
    norms: tuple[str, ...]
    shortcuts: tuple[str, ...]
    weight_decay: float = 0.0
    warmup_epochs: int = 0
    augment: Callable[..., Tensor] | None = None


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "mnist-mlp": Recipe(
            title="MLP with three hidden layers on MNIST",
            data="mnist-full",
            build=lambda shape: mlp(shape.inputs, shape.classes, (shape.width,) * 3),
            flat=True,
            width=512,
            optimiser="adam",
            rates={"adam": 1e-3, "sgd": 1e-1},
            epochs=20,
            paper_epochs=100,
            batch_size=500,
            norms=("none",),
            shortcuts=("none",),
        ),
        "cifar10-resnet20": Recipe(
            title="ResNet20 on CIFAR-10",
            data="cifar10",
            build=lambda shape: resnet20(
                shape.inputs, shape.classes, shape.width, shape.norm, shape.shortcut
            ),
            flat=False,
            width=1,
            optimiser="sgd",
            rates={"sgd": 1e-1, "adam": 1e-3},
            epochs=250,
            paper_epochs=250,
            batch_size=100,
            norms=("batch", "layer"),
            shortcuts=("B", "A", "3x3"),
            weight_decay=1e-4,
            warmup_epochs=5,
            augment=augment,
        ),
        "cifar10-vgg16": Recipe(
            title="VGG16 on CIFAR-10",
            data="cifar10",
            build=lambda shape: vgg16(shape.inputs, shape.classes, shape.width, shape.norm),
            flat=False,
            width=64,
            optimiser="sgd",
            rates={"sgd": 1e-1, "adam": 1e-3},
            epochs=100,
            paper_epochs=100,
            batch_size=100,
            norms=("batch", "layer", "none"),
            shortcuts=("none",),
            weight_decay=5e-4,
            warmup_epochs=1,
            augment=augment,
        ),
    }
)


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        TrainingError: there is none; the message lists all.
    """
    if name not in RECIPES:
        raise TrainingError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
