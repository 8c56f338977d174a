"""What a path asks: which models, where it ends, how the curve is trained, on which data.

Registered beside the specs of `engine.runs.spec`; no torch is imported here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from engine.errors import MatchingError
from engine.matching.methods import find_method
from engine.runs.spec import (
    DataSpec,
    Options,
    Place,
    Real,
    Samples,
    Seed,
    Sha256,
    Spec,
    register_spec,
)
from engine.runs.spec_fields import check_rectangle, odd, side

MOST_BENDS, MOST_EPOCHS, MOST_RATE = 8, 100_000, 1e6
USUAL_METHOD = "weight"
Extent = tuple[Place, Place, Place, Place]


def _method(key: str) -> str:
    try:
        return find_method(key).key
    except MatchingError as error:
        raise ValueError(str(error)) from None


class PathSpec(Spec):
    """Train a curve of low loss from A to B, to π(B), or to both, beside the straight lines.

    `method` and its `options` say how B is matched where a curve ends at π(B); for an end at B
    they change nothing and are dropped. `seed` is of the training and of the matching. `extent`
    None is a square around the curve.
    """

    kind: Literal["path"] = "path"
    version: Literal[1] = 1
    a: Sha256
    b: Sha256
    data: DataSpec
    end: Literal["b", "pi_b", "both"] = "b"
    shape: Literal["bezier", "polygon"] = "bezier"
    bends: Annotated[int, Field(strict=True, ge=1, le=MOST_BENDS)] = 1
    epochs: Annotated[int, Field(strict=True, ge=1, le=MOST_EPOCHS)] = 20
    batch_size: Samples = 100
    optimiser: Literal["adam", "sgd"] = "adam"
    rate: Annotated[Real, Field(gt=0, le=MOST_RATE)] = 1e-3
    weight_decay: Annotated[Real, Field(ge=0, le=MOST_RATE)] = 0.0
    method: Annotated[str, Field(max_length=40), AfterValidator(_method)] = USUAL_METHOD
    options: Options = Field(default_factory=dict, validate_default=True)
    seed: Seed = 0
    points: Annotated[int, Field(strict=True, ge=3, le=1001), AfterValidator(odd)] = 25
    plane_points: Annotated[int, Field(strict=True, ge=0, le=257), AfterValidator(side)] = 25
    extent: Extent | None = None
    reset: StrictBool | None = None
    reset_samples: Samples = 1000
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @property
    def ends(self) -> tuple[str, ...]:
        """Where curves lead."""
        return ("b", "pi_b") if self.end == "both" else (self.end,)

    @model_validator(mode="after")
    def _settled(self) -> PathSpec:
        method = find_method(self.method)
        try:
            settings, usual = method.settings(self.options), method.settings({})
        except MatchingError as error:
            raise ValueError(f"options: {error}") from None
        own = {name: value for name, value in settings.items() if value != usual[name]}
        if self.end == "b":
            own = {}
            object.__setattr__(self, "method", USUAL_METHOD)
        object.__setattr__(self, "options", MappingProxyType(own))
        if self.extent is not None:
            check_rectangle(self.extent)
        return self


register_spec(PathSpec)
