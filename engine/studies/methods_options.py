"""What a comparison of matching methods is asked: which methods, which repairs, on which data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import SpecError
from engine.matching.methods import find_method
from engine.repair.catalogue import REPAIRS
from engine.studies.options import CompareOptions

NAIVE = "none"
"""The id of the line from A to B as they are."""
PLAIN = "plain"
"""The variant of a line that is not repaired."""


@dataclass(frozen=True)
class MethodChoice:
    """A matching method with its options; those not given have their defaults.

    Args:
        key: of `engine.matching.METHODS`.
        options: the method's own.

    Raises:
        MatchingError: there is no such method or option, or a value makes no sense.
    """

    key: str
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        settings = find_method(self.key).settings(self.options)
        object.__setattr__(self, "options", MappingProxyType(settings))

    @property
    def title(self) -> str:
        """How a sentence calls it: the method, and what differs from its defaults."""
        method = find_method(self.key)
        usual = method.settings({})
        own = [
            f"{name} {value}".replace("_", " ")
            for name, value in self.options.items()
            if value != usual[name]
        ]
        return f"{method.title} ({', '.join(own)})" if own else method.title

    @property
    def digest(self) -> str:
        """The name of what it finds: the same for the same options, in any run."""
        text = json.dumps([self.key, dict(self.options)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class MethodsOptions:
    """Which methods to try on two checkpoints, with which repairs, and on what.

    Args:
        methods: keys or `MethodChoice`s, at least one; a method may come again with other options.
        repairs: keys of `engine.repair.REPAIRS`: each line is evaluated without them, with each,
            and with all of them.
        data: name of a data set or path of a file (`engine.data.load_dataset`).
        train_split, test_split: the splits behind the train and test numbers; methods and repairs
            see the train split.
        samples: at most how many samples are drawn from each split, None for all.
        data_seed: of the draw.
        mean, std: normalisation per channel; None takes the data set's own.
        seed: of the methods.
        line_points: λ values per line, at least 3 and odd, so that λ = ½ is among them.
        repair_samples: at most how many training samples the repairs see.
        family: choices that a state dict does not show (`engine.families.recognise`).

    Raises:
        SpecError: no method, one that is asked twice, an unknown repair, or impossible numbers.
        MatchingError: an unknown method or option.
    """

    methods: tuple[MethodChoice, ...] | tuple[str, ...]
    repairs: tuple[str, ...] = ()
    data: str = "mnist"
    train_split: str = "train"
    test_split: str = "test"
    samples: int | None = 2000
    data_seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    line_points: int = 25
    repair_samples: int = 1000
    family: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not self.methods:
            raise SpecError("no method was chosen; name at least one")
        chosen = [m if isinstance(m, MethodChoice) else MethodChoice(m) for m in self.methods]
        if twice := {m.title for m in chosen if [n.digest for n in chosen].count(m.digest) > 1}:
            raise SpecError(f"{min(twice)} was asked for twice; once is enough")
        if unknown := [key for key in self.repairs if key not in REPAIRS]:
            raise SpecError(f"there is no repair {unknown[0]!r}; there are {', '.join(REPAIRS)}")
        if self.repair_samples < 2:
            raise SpecError(f"repairs need at least 2 samples, not {self.repair_samples}")
        object.__setattr__(self, "methods", tuple(chosen))
        ordered = tuple(key for key in REPAIRS if key in self.repairs)
        object.__setattr__(self, "repairs", ordered)
        _ = self.loading

    @property
    def choices(self) -> dict[str, MethodChoice]:
        """The methods by their ids in the result: the key, numbered where it comes again."""
        found: dict[str, MethodChoice] = {}
        for choice in self.methods:
            assert isinstance(choice, MethodChoice)
            before = sum(known.key == choice.key for known in found.values())
            found[f"{choice.key}-{before + 1}" if before else choice.key] = choice
        return found

    @property
    def loading(self) -> CompareOptions:
        """What of the options says how data are loaded and lines are laid."""
        return CompareOptions(
            data=self.data,
            train_split=self.train_split,
            test_split=self.test_split,
            samples=self.samples,
            data_seed=self.data_seed,
            mean=self.mean,
            std=self.std,
            line_points=self.line_points,
            plane_points=0,
        )


def variants(repairs: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the sets of repairs that each line is evaluated with, by their names in a result.

    Args:
        repairs: keys, in the order in which they are applied.
    """
    found: dict[str, tuple[str, ...]] = {PLAIN: ()}
    found |= {key: (key,) for key in repairs}
    if len(repairs) > 1:
        found["+".join(repairs)] = tuple(repairs)
    return found
