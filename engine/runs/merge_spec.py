"""What a merge asks: which models, how they are aligned and repaired, on which data.

Registered beside the specs of `engine.runs.spec`; no torch is imported here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from engine.errors import MatchingError
from engine.matching.methods import find_method
from engine.merging.methods import CONSISTENT, MERGE_MANY, find_merge
from engine.repair.catalogue import REPAIRS
from engine.runs.spec import DataSpec, Options, Samples, Seed, Sha256, Spec, register_spec

MOST_MODELS = 64


def _method(key: str) -> str:
    try:
        return find_merge(key).key
    except MatchingError as error:
        raise ValueError(str(error)) from None


def _repairs(repairs: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [key for key in repairs if key not in REPAIRS]:
        raise ValueError(f"there is no repair {unknown[0]!r}; allowed: {', '.join(REPAIRS)}")
    return tuple(key for key in REPAIRS if key in repairs)


class MergeSpec(Spec):
    """Merge two to many models into one and hold it against each and their ensemble.

    The first model gives the result its order, names and dtypes. `options` are those of a method
    for two models; defaults written out are dropped, since they change no question.
    """

    kind: Literal["merge"] = "merge"
    version: Literal[1] = 1
    models: Annotated[tuple[Sha256, ...], Field(min_length=2, max_length=MOST_MODELS)]
    data: DataSpec
    method: Annotated[str, Field(max_length=40), AfterValidator(_method)] = MERGE_MANY
    options: Options = Field(default_factory=dict, validate_default=True)
    repairs: Annotated[tuple[str, ...], AfterValidator(_repairs)] = ()
    seed: Seed = 0
    repair_samples: Annotated[Samples, Field(ge=2)] = 1000
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _settled(self) -> MergeSpec:
        if self.method in (MERGE_MANY, CONSISTENT):
            if self.options:
                raise ValueError(f"options: {find_merge(self.method).title} has none to set")
            return self
        method = find_method(self.method)
        try:
            settings, usual = method.settings(self.options), method.settings({})
        except MatchingError as error:
            raise ValueError(f"options: {error}") from None
        own = {name: value for name, value in settings.items() if value != usual[name]}
        object.__setattr__(self, "options", MappingProxyType(own))
        return self


register_spec(MergeSpec)
