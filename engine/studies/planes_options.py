"""What a plane of another kind is asked: along which directions, how finely, on which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from engine.errors import SpecError
from engine.landscape.direction import SCALINGS, Scaling
from engine.landscape.grid import Extent
from engine.studies.extent import check_extent
from engine.studies.options import CompareOptions

Kind = Literal["three", "random", "pca", "hessian"]
KINDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"three": (3, 3), "random": (1, 1), "pca": (3, 128), "hessian": (1, 1)}
)
"""Kind → how many checkpoints it takes, at least and at most."""
MATCHED = ("three", "pca")
SPLITS = ("test", "train")
MOST_POINTS = 257  # per axis; more show nothing more and take days


@dataclass(frozen=True)
class PlanesOptions:
    """How a plane is laid out and what is evaluated on it.

    Args:
        resolution: grid points per axis, 2 to 257.
        extent: (u from, u to, v from, v to) in the plane's own unit; None chooses by kind.
        seed: of random directions, of the eigensolver's start, of matching.
        scaling: random directions get the model's norm by "filter", "layer" or as a whole
            ("model").
        vectors: random directions move biases and norm parameters too.
        matched: "three" and "pca" alone: match the checkpoints by their weights first, to the
            first of three, or to the last of a trajectory.
        hessian_samples: at most how many training samples the Hessian is taken on.
        tolerance: of its eigenvectors: residual relative to the largest eigenvalue.
        most_products: the most Hessian products.
        split: of the plane's losses, "test" or "train".
        data: name of a data set or path of a file (`engine.data.load_dataset`).
        train_split, test_split: the splits behind the train and test numbers.
        samples: at most how many samples are drawn from each split, None for all.
        data_seed: of the draw.
        mean, std: normalisation per channel; None takes the data set's own.
        reset: recompute BatchNorm statistics at each point; None where the model has any.
        reset_samples: at most how many training samples, drawn from the split's, for that.
        family: choices that a state dict does not show (`engine.families.recognise`).

    Raises:
        SpecError: an option is not possible.
    """

    resolution: int = 25
    extent: Extent | None = None
    seed: int = 0
    scaling: Scaling = "filter"
    vectors: bool = False
    matched: bool = False
    hessian_samples: int = 1000
    tolerance: float = 1e-3
    most_products: int = 400
    split: Literal["test", "train"] = "test"
    data: str = "mnist"
    train_split: str = "train"
    test_split: str = "test"
    samples: int | None = 2000
    data_seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    reset: bool | None = None
    reset_samples: int = 1000
    family: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.resolution < 2:
            raise SpecError(f"resolution={self.resolution} is not possible: give at least 2 points")
        if self.resolution > MOST_POINTS:
            raise SpecError(
                f"resolution={self.resolution} is not possible: give at most {MOST_POINTS} points"
            )
        check_extent(self.extent)
        if self.scaling not in SCALINGS:
            raise SpecError(f"there is no scaling {self.scaling!r}; there are {_list(SCALINGS)}")
        if self.split not in SPLITS:
            raise SpecError(f"there is no split {self.split!r}; there are {_list(SPLITS)}")
        if self.hessian_samples < 1:
            raise SpecError(f"the Hessian needs at least 1 sample, not {self.hessian_samples}")
        if not 0 < self.tolerance < 1:
            raise SpecError(f"tolerance={self.tolerance} is not possible: give one of 0 to 1")
        if self.most_products < 50:
            raise SpecError(f"eigenvectors need at least 50 products, not {self.most_products}")
        _ = self.loading

    @property
    def loading(self) -> CompareOptions:
        """What of the options says how data are loaded and statistics reset."""
        return CompareOptions(
            data=self.data,
            train_split=self.train_split,
            test_split=self.test_split,
            samples=self.samples,
            data_seed=self.data_seed,
            mean=self.mean,
            std=self.std,
            plane_points=0,
            reset=self.reset,
            reset_samples=self.reset_samples,
        )


def check_kind(kind: str, count: int, matched: bool) -> None:
    """Raise SpecError unless a kind of plane takes so many checkpoints, matched or not."""
    if kind not in KINDS:
        raise SpecError(f"there is no kind of plane {kind!r}; there are {_list(tuple(KINDS))}")
    fewest, most = KINDS[kind]
    if not fewest <= count <= most:
        wanted = {1: "one checkpoint", 3: f"{fewest} to {most} checkpoints"}[fewest]
        wanted = f"{fewest} checkpoints" if fewest == most > 1 else wanted
        raise SpecError(f"a plane of kind '{kind}' takes {wanted}, not {count}; name others")
    if matched and kind not in MATCHED:
        raise SpecError(f"a plane of kind '{kind}' is around one checkpoint: nothing to match")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
