"""What a comparison of matching methods asks: which methods and repairs, on which pair and data.

Registered beside the specs of `engine.runs.spec`; no torch is imported here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from engine.errors import MatchingError
from engine.matching.methods import find_method
from engine.repair.catalogue import REPAIRS
from engine.runs.spec import DataSpec, Options, Part, Samples, Seed, Sha256, Spec, register_spec
from engine.runs.spec_fields import odd


def _ordered(repairs: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [key for key in repairs if key not in REPAIRS]:
        raise ValueError(f"there is no repair {unknown[0]!r}; allowed: {', '.join(REPAIRS)}")
    return tuple(key for key in REPAIRS if key in repairs)


class MethodSpec(Part):
    """One method and the options that differ from its defaults.

    Defaults written out are dropped: they change no question, and neither does an option that
    a method gains later.
    """

    prefix: ClassVar[str] = "methods: "
    key: Annotated[str, Field(max_length=40)]
    options: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _settled(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("key"), str):
            return values
        given = values.get("options", {})
        if not hasattr(given, "keys"):
            return values
        try:
            method = find_method(values["key"])
            settings = method.settings(given)
        except MatchingError as error:
            raise ValueError(str(error)) from None
        usual = method.settings({})
        own = {name: value for name, value in settings.items() if value != usual[name]}
        return {**values, "options": own}


class MethodsSpec(Spec):
    """Try several methods, each with and without repairs, on one pair.

    `methods` are tried in the order given; `repairs` are toggles: each line is evaluated without
    them, with each, and with all. Methods and repairs see training samples.
    """

    kind: Literal["methods"] = "methods"
    version: Literal[1] = 1
    a: Sha256
    b: Sha256
    data: DataSpec
    seed: Seed = 0
    methods: Annotated[tuple[MethodSpec, ...], Field(min_length=1, max_length=32)]
    repairs: Annotated[tuple[str, ...], AfterValidator(_ordered)] = ()
    line_points: Annotated[int, Field(strict=True, ge=3, le=1001), AfterValidator(odd)] = 25
    repair_samples: Annotated[Samples, Field(ge=2)] = 1000
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _distinct(self) -> MethodsSpec:
        known = [(method.key, dict(method.options)) for method in self.methods]
        twice = [key for key, options in known if known.count((key, options)) > 1]
        if twice:
            raise ValueError(f"methods: {twice[0]} is asked for twice; once is enough")
        return self

    def same_but_for_methods(self, other: MethodsSpec) -> bool:
        """Say whether another question is about the same pair, data, seed and points."""
        chosen = {"methods", "repairs"}
        return self.model_dump(exclude=chosen) == other.model_dump(exclude=chosen)


register_spec(MethodsSpec)
