"""What can be set of a matching method: a name, a default and the values that make sense."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine.errors import MatchingError

Value = int | float | str


class Needs(Enum):
    """What a method has to see besides the two models, from the least to the most."""

    NOTHING = "nothing"
    INPUTS = "samples without labels"
    TARGETS = "samples with labels"


@dataclass(frozen=True)
class Option:
    """One keyword of a method.

    Attributes:
        name: the keyword.
        sentence: what it sets.
        default: what it is when not given; its type is that of every value.
        least: smallest value of a number.
        most: largest value of a number.
        above: what a number must be larger than.
        choices: the values of a text.
        asks: value of a text → what the method then has to see.
    """

    name: str
    sentence: str
    default: Value
    least: float | None = None
    most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    asks: Mapping[str, Needs] = field(default_factory=dict)

    def checked(self, value: object) -> Value:
        """Return the value in the option's type.

        Raises:
            MatchingError: it is of another kind, or makes no sense.
        """
        if self.choices:
            if value not in self.choices:
                raise MatchingError(
                    f"{self.name} is one of {', '.join(self.choices)}, not {value!r}"
                )
            return str(value)
        whole = isinstance(self.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise MatchingError(f"{self.name} must be a {'whole ' * whole}number, not {value!r}")
        if not self._in_range(value):
            raise MatchingError(f"{self.name} must be {self.range}, not {value}")
        return value if whole else float(value)

    @property
    def range(self) -> str:
        """Return which numbers make sense, such as "above 0 and at most 1"."""
        limits = (("above", self.above), ("at least", self.least), ("at most", self.most))
        told = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
        return " and ".join(told) or "finite"

    def _in_range(self, value: float) -> bool:
        return (
            -sys.float_info.max <= value <= sys.float_info.max  # not of NaN
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )
