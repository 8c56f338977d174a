"""What a path between two models is asked: its end, its shape, how it is trained, on which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import SpecError
from engine.studies.extent import check_extent
from engine.studies.methods_options import MethodChoice
from engine.studies.options import CompareOptions
from engine.training.bend_options import BendOptions

B, PI_B, BOTH = "b", "pi_b", "both"
ENDS: Mapping[str, str] = {B: "B", PI_B: "π(B)"}


@dataclass(frozen=True)
class PathOptions:
    """How a curve is found between two models, and on what it is judged.

    Args:
        end: where curves from A lead: "b", "pi_b" (B matched to A first), or "both", one each.
        shape, bends, epochs, batch_size, optimiser, rate, weight_decay: see
            `engine.training.bend_options.BendOptions`.
        method: key of `engine.matching.METHODS`, for an end at π(B).
        method_options: the method's own.
        data: name of a data set or path of a file (`engine.data.load_dataset`).
        train_split, test_split: the splits behind the train and test numbers; curves are trained,
            and methods look, at the train split.
        samples: at most how many samples are drawn from each split, None for all.
        data_seed: of the draw.
        mean, std: normalisation per channel; None takes the data set's own.
        seed: of the training and of the method.
        points: places on the line and on the curve, at least 3 and odd.
        plane_points: grid points per axis, at least 2; 0 leaves the plane out.
        extent: of the plane, (u from, u to, v from, v to) in units of the ends' distance; None
            takes a square around the curve and its bends.
        reset: recompute BatchNorm statistics at each point; None where the model has any.
        reset_samples: at most how many training samples, drawn from the split's, for that.
        family: choices that a state dict does not show (`engine.families.recognise`).

    Raises:
        SpecError: there is no such end, or a number of points or the extent is not possible.
        TrainingError: a value of the training makes no sense.
        MatchingError: there is no such method or option.
    """

    end: str = B
    shape: str = BendOptions.shape
    bends: int = BendOptions.bends
    epochs: int = BendOptions.epochs
    batch_size: int = BendOptions.batch_size
    optimiser: str = BendOptions.optimiser
    rate: float = BendOptions.rate
    weight_decay: float = BendOptions.weight_decay
    method: str = "weight"
    method_options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    data: str = "mnist"
    train_split: str = "train"
    test_split: str = "test"
    samples: int | None = 2000
    data_seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    points: int = 25
    plane_points: int = 25
    extent: tuple[float, float, float, float] | None = None
    reset: bool | None = None
    reset_samples: int = 1000
    family: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.end not in (B, PI_B, BOTH):
            raise SpecError(f"a path ends at {B}, {PI_B} or {BOTH}, not at {self.end!r}")
        check_extent(self.extent)
        _ = self.training, self.choice, self.loading

    @property
    def ends(self) -> tuple[str, ...]:
        """Where curves lead, in the order in which they are trained."""
        return (B, PI_B) if self.end == BOTH else (self.end,)

    @property
    def training(self) -> BendOptions:
        """How each curve is trained."""
        return BendOptions(
            shape=self.shape,
            bends=self.bends,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            rate=self.rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )

    @property
    def choice(self) -> MethodChoice:
        """How π is found."""
        return MethodChoice(self.method, self.method_options)

    @property
    def loading(self) -> CompareOptions:
        """What of the options says how data are loaded, and points evaluated."""
        return CompareOptions(
            data=self.data,
            train_split=self.train_split,
            test_split=self.test_split,
            samples=self.samples,
            data_seed=self.data_seed,
            mean=self.mean,
            std=self.std,
            seed=self.seed,
            line_points=self.points,
            plane_points=self.plane_points,
            reset=self.reset,
            reset_samples=self.reset_samples,
        )
