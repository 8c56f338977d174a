"""The ways to align many models by name: what each is called and what it needs to run.

Knows nothing of torch, so that the web process can list them. `run.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.errors import MatchingError
from engine.matching.methods import METHODS
from engine.matching.option import Needs

MERGE_MANY = "merge-many"
CONSISTENT = "cycle-consistent"


@dataclass(frozen=True)
class Merge:
    """One way to bring many models into one frame.

    Attributes:
        key: its name in options and results.
        title: how a sentence calls it.
        sentence: what it does.
        needs: what it has to see besides the models, with default options.
        pairwise: whether it is a method for two models, each further one matched to the first.
    """

    key: str
    title: str
    sentence: str
    needs: Needs = Needs.NOTHING
    pairwise: bool = False


_MANY = (
    Merge(
        MERGE_MANY,
        "MergeMany",
        "Each model in turn is matched by its weights to the mean of the others, until none gains.",
    ),
    Merge(
        CONSISTENT,
        "cycle-consistent matching",
        "All pairs are matched by their weights, put together without contradiction, and improved "
        "together.",
    ),
)

MERGES: Mapping[str, Merge] = MappingProxyType(
    {merge.key: merge for merge in _MANY}
    | {
        method.key: Merge(
            method.key,
            method.title,
            f"Each further model is matched to the first one by {method.title}.",
            method.needs,
            pairwise=True,
        )
        for method in METHODS.values()
    }
)
"""Key → way: those for many models first, then every method for two."""


MANY_OPTIONS = ("max_rounds", "max_sweeps")


def check_merge_options(key: str, options: Mapping[str, object]) -> None:
    """Check that a way to merge has some options, and that their values make sense.

    Raises:
        MatchingError: there is no such way or option, or a value makes no sense.
    """
    merge = find_merge(key)
    if merge.pairwise:
        METHODS[key].settings(options)
        return
    if unknown := [name for name in options if name not in MANY_OPTIONS]:
        raise MatchingError(
            f"{merge.title} has no option {unknown[0]}; its options are {', '.join(MANY_OPTIONS)}"
        )
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise MatchingError(f"{name} must be a whole number, not {value!r}")
        if value < 1:
            raise MatchingError(f"{name} must be at least 1, not {value}")


def find_merge(key: str) -> Merge:
    """Return a way to merge by its key.

    Raises:
        MatchingError: there is none; the message lists all.
    """
    if key not in MERGES:
        raise MatchingError(f"there is no way to merge called {key}; there are {', '.join(MERGES)}")
    return MERGES[key]
