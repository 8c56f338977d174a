"""The trainings that Basinscope can do: model, data and hyperparameters by name.

`mnist-mlp` is Git Re-Basin's MNIST setting (Adam 1e-3, batch 500, pixels / 255 only) with 20
epochs instead of the paper's 100. `cifar10-resnet20` and `cifar10-vgg16` follow its CIFAR
code (SGD 0.1, momentum 0.9, batch 100, augmentation, weight decay); their networks have
BatchNorm unless `norm="layer"` asks for the paper's LayerNorm. `mnist-vit` and `modular-gpt2`
are small transformers for questions about their symmetries, trained with AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from engine.errors import TrainingError
from engine.training.augment import augment
from engine.training.models import mlp, resnet20, vgg16
from engine.training.transformers import HEADS, gpt2, vit

WARMUP_STEPS = 10


@dataclass(frozen=True)
class Shape:
    """What a recipe's model is built from.

    Attributes:
        inputs: one sample's shape, without the batch.
        classes: number of classes, or of tokens.
        width: hidden units of the MLP, of a transformer's stream; the paper's width multiplier of
            the others: 16 · width channels in ResNet20's first stage, 1 · width in VGG16's.
        depth: blocks of a transformer; 0 for the others.
        norm: "batch", "layer" or "none".
        shortcut: "A", "B" or "3x3"; only the ResNet has one.
    """

    inputs: tuple[int, ...]
    classes: int
    width: int
    norm: str
    shortcut: str
    depth: int = 0


@dataclass(frozen=True)
class Recipe:
    """One training with its defaults.

    Attributes:
        title: shown to the user.
        data: name of the data set.
        build: makes the module.
        takes: what the model takes: flat vectors, images or tokens.
        width, optimiser, epochs, batch_size, depth: defaults; depth is 0 where it cannot be chosen.
        rates: optimiser → default learning rate (the peak, where there is a warm-up).
        norms, shortcuts: allowed values, the default first.
        weight_decay: of SGD and AdamW.
        warmup_epochs: of their linear rise; 0 means `WARMUP_STEPS` steps.
        augment: applied to each training batch in 0 … 1, or None.
        unseen: the model's options that its tensors' names and shapes do not show.
        paper_epochs: what the paper trained for; the default where there is no paper.
    """

    title: str
    data: str
    build: Callable[[Shape], nn.Module]
    takes: Literal["vectors", "images", "tokens"]
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
    depth: int = 0
    unseen: Mapping[str, int] = field(default_factory=dict)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "mnist-mlp": Recipe(
            title="MLP with three hidden layers on MNIST",
            data="mnist-full",
            build=lambda shape: mlp(shape.inputs, shape.classes, (shape.width,) * 3),
            takes="vectors",
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
            takes="images",
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
            takes="images",
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
        "mnist-vit": Recipe(
            title="Small vision transformer on MNIST",
            data="mnist-full",
            build=lambda shape: vit(shape.inputs, shape.classes, shape.width, shape.depth),
            takes="images",
            width=64,
            optimiser="adamw",
            rates={"adamw": 1e-3, "adam": 1e-3},
            epochs=10,
            paper_epochs=10,
            batch_size=250,
            norms=("layer",),
            shortcuts=("none",),
            weight_decay=1e-2,
            warmup_epochs=1,
            depth=3,
            unseen=MappingProxyType({"heads": HEADS}),
        ),
        "modular-gpt2": Recipe(
            title="Small GPT-2 on modular addition",
            data="modular-addition",
            build=lambda shape: gpt2(shape.inputs[0], shape.classes, shape.width, shape.depth),
            takes="tokens",
            width=64,
            optimiser="adamw",
            rates={"adamw": 3e-3, "adam": 1e-3},
            epochs=60,
            paper_epochs=60,
            batch_size=500,
            norms=("layer",),
            shortcuts=("none",),
            weight_decay=0.3,
            warmup_epochs=3,
            depth=2,
            unseen=MappingProxyType({"heads": HEADS}),
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
