"""The data sets that Basinscope knows by name, as plain facts; no torch is imported here.

Each entry says where the Hub keeps it (`repo`, `folder`), which parquet columns hold images
and labels, and the normalisation used unless another is given: MNIST and Fashion-MNIST are
only divided by 255 (Git Re-Basin's MNIST setting), CIFAR uses the usual ImageNet constants
that Git Re-Basin uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

NO_MEAN = (0.0,)
NO_STD = (1.0,)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a named data set before anything is read.

    Attributes:
        title: the name shown to the user.
        repo: the Hub repository, `organisation/name`; for a built-in set its origin.
        folder: the folder inside the repository that holds the parquet files.
        image_column, label_column: the parquet columns.
        classes: number of classes; labels are 0 … classes − 1; of tokens, the vocabulary.
        shape: one image, [channels, height, width], or the length of a sequence of tokens.
        mean, std: default normalisation per channel, after division by 255.
        splits: the split names.
        sizes: split → number of images.
        licence: who made the data and under which terms.
        builtin: whether it ships with Basinscope and needs no network.
        kind: "images" with one class each, or "tokens", sequences with a token to predict.
    """

    title: str
    repo: str
    folder: str
    image_column: str
    label_column: str
    classes: int
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    splits: tuple[str, ...]
    sizes: Mapping[str, int]
    licence: str
    builtin: bool = False
    kind: Literal["images", "tokens"] = "images"


def _sizes(train: int, test: int) -> Mapping[str, int]:
    return MappingProxyType({"train": train, "test": test})


_MNIST_LICENCE = "Yann LeCun and Corinna Cortes, CC BY-SA 3.0"

DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(
    {
        "mnist": DatasetInfo(
            title="MNIST (built in: all 10 000 test images, 10 000 of the training images)",
            repo="ylecun/mnist",
            folder="mnist",
            image_column="image",
            label_column="label",
            classes=10,
            shape=(1, 28, 28),
            mean=NO_MEAN,
            std=NO_STD,
            splits=("train", "test"),
            sizes=_sizes(10_000, 10_000),
            licence=_MNIST_LICENCE,
            builtin=True,
        ),
        "mnist-full": DatasetInfo(
            title="MNIST",
            repo="ylecun/mnist",
            folder="mnist",
            image_column="image",
            label_column="label",
            classes=10,
            shape=(1, 28, 28),
            mean=NO_MEAN,
            std=NO_STD,
            splits=("train", "test"),
            sizes=_sizes(60_000, 10_000),
            licence=_MNIST_LICENCE,
        ),
        "fashion-mnist": DatasetInfo(
            title="Fashion-MNIST",
            repo="zalando-datasets/fashion_mnist",
            folder="fashion_mnist",
            image_column="image",
            label_column="label",
            classes=10,
            shape=(1, 28, 28),
            mean=NO_MEAN,
            std=NO_STD,
            splits=("train", "test"),
            sizes=_sizes(60_000, 10_000),
            licence="Zalando SE, MIT",
        ),
        "cifar10": DatasetInfo(
            title="CIFAR-10",
            repo="uoft-cs/cifar10",
            folder="plain_text",
            image_column="img",
            label_column="label",
            classes=10,
            shape=(3, 32, 32),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            splits=("train", "test"),
            sizes=_sizes(50_000, 10_000),
            licence="Alex Krizhevsky, no licence stated",
        ),
        "cifar100": DatasetInfo(
            title="CIFAR-100",
            repo="uoft-cs/cifar100",
            folder="cifar100",
            image_column="img",
            label_column="fine_label",
            classes=100,
            shape=(3, 32, 32),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            splits=("train", "test"),
            sizes=_sizes(50_000, 10_000),
            licence="Alex Krizhevsky, no licence stated",
        ),
        "modular-addition": DatasetInfo(
            title="Modular addition, a + b mod 97 (built in, for language models)",
            repo="basinscope/modular-addition",
            folder="",
            image_column="",
            label_column="",
            classes=98,
            shape=(3,),
            mean=NO_MEAN,
            std=NO_STD,
            splits=("train", "test"),
            sizes=_sizes(7527, 1882),
            licence="computed by a rule",
            builtin=True,
            kind="tokens",
        ),
    }
)
