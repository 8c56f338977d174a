"""What a plane of another kind asks: which models, along which directions, on which data.

Registered beside the specs of `engine.runs.spec`; no torch is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from engine.runs.spec import (
    DataSpec,
    Options,
    Place,
    Samples,
    Seed,
    Sha256,
    Spec,
    register_spec,
)
from engine.runs.spec_fields import check_rectangle

KINDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"three": (3, 3), "random": (1, 1), "pca": (3, 128), "hessian": (1, 1)}
)
"""Kind → how many models it takes, at least and at most; as in `engine.studies`."""

# What a kind alone asks; elsewhere it changes no number: once checked, it is the default.
OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "scaling": ("random",),
        "vectors": ("random",),
        "matched": ("three", "pca"),
        "hessian_samples": ("hessian",),
        "tolerance": ("hessian",),
        "most_products": ("hessian",),
    }
)


class PlaneSpec(Spec):
    """The loss on a plane of another kind: three models, random, PCA of a training, Hessian.

    `extent` is in the plane's own unit; None chooses by kind. Options of other kinds are set to
    their defaults, since they change no question.
    """

    kind: Literal["plane"] = "plane"
    version: Literal[1] = 1
    plane: Literal["three", "random", "pca", "hessian"]
    models: Annotated[tuple[Sha256, ...], Field(min_length=1, max_length=128)]
    data: DataSpec
    split: Literal["test", "train"] = "test"
    resolution: Annotated[int, Field(strict=True, ge=3, le=257)] = 25
    extent: tuple[Place, Place, Place, Place] | None = None
    seed: Seed = 0
    scaling: Literal["filter", "layer", "model"] = "filter"
    vectors: StrictBool = False
    matched: StrictBool = False
    hessian_samples: Samples = 1000
    tolerance: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 1e-3
    most_products: Annotated[int, Field(strict=True, ge=50, le=100_000)] = 400
    reset: StrictBool | None = None
    reset_samples: Annotated[Samples, Field(ge=2)] = 1000
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _possible(self) -> PlaneSpec:
        fewest, most = KINDS[self.plane]
        if not fewest <= len(self.models) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ValueError(f"models: a {self.plane} plane takes {wanted}, not {len(self.models)}")
        if self.extent is not None:
            check_rectangle(self.extent)
        for name, kinds in OWN.items():
            if self.plane not in kinds:
                object.__setattr__(self, name, type(self).model_fields[name].default)
        return self


register_spec(PlaneSpec)
