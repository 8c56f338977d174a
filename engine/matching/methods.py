"""The matching methods by name: what each is called, what it needs to run, what can be set.

Knows nothing of torch, so that the web process can list the methods. `run.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from engine.errors import MatchingError
from engine.matching.option import Needs, Option, Value


class Counts(Enum):
    """What a method's own progress counts."""

    SWEEPS = "sweeps over all permutations"
    STEPS = "steps, their number known beforehand"
    PARTS = "samples read or groups matched, of all"


@dataclass(frozen=True)
class Method:
    """One way to find the permutation.

    Attributes:
        key: its name in options and results.
        title: how a sentence calls it.
        needs: what it has to see, with default options.
        call: the name of its function in `engine`.
        counts: what its progress counts.
        options: what can be set, in the order of importance.
    """

    key: str
    title: str
    needs: Needs
    call: str
    counts: Counts
    options: tuple[Option, ...] = ()

    def settings(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return every option with the given value or its default.

        Raises:
            MatchingError: there is no such option, or a value makes no sense.
        """
        own = {option.name: option for option in self.options}
        for name in given:
            if name not in own:
                known = f"its options are {', '.join(own)}" if own else "it has none"
                raise MatchingError(f"{self.title} has no option {name}; {known}")
        return {n: o.checked(given[n]) if n in given else o.default for n, o in own.items()}

    def needs_with(self, given: Mapping[str, object]) -> Needs:
        """Return what it has to see with these options."""
        settings = self.settings(given)
        asked = [o.asks[str(settings[o.name])] for o in self.options if settings[o.name] in o.asks]
        return max([self.needs, *asked], key=list(Needs).index)


_SWEEPS = Option("max_sweeps", "at most so many sweeps over all permutations", 100, least=1)
_BATCH = Option("batch_size", "samples at a time", 250, least=1)
_JUDGES = Option("judged_on", "at most so many samples judge the midpoints", 2000, least=1)

_WEIGHT = Method(
    "weight",
    "weight matching",
    Needs.NOTHING,
    "match_weights",
    Counts.SWEEPS,
    (
        Option("restarts", "number of starts; the best one wins", 1, least=1),
        Option("escapes", "how often the best is disturbed and improved again", 0, least=0),
        Option(
            "also_from",
            "one more start",
            "nothing",
            choices=("nothing", "activation"),
            asks={"activation": Needs.INPUTS},
        ),
        _SWEEPS,
    ),
)

_ACTIVATION = Method(
    "activation",
    "activation matching",
    Needs.INPUTS,
    "match_activations",
    Counts.PARTS,
    (
        Option(
            "statistic",
            "what makes two units alike",
            "correlation",
            choices=("inner_product", "correlation"),
        ),
        Option(
            "mixture", "share of the activations; the rest is the weights'", 1.0, above=0, most=1
        ),
        _BATCH,
    ),
)

_STRAIGHT_THROUGH = Method(
    "ste",
    "straight-through estimator",
    Needs.TARGETS,
    "straight_through",
    Counts.STEPS,
    (
        Option("steps", "number of steps", 200, least=1),
        Option("batch_size", "samples per step", 500, least=1),
        Option("rate", "learning rate", 1e-2, above=0),
        Option("momentum", "momentum of SGD", 0.9, least=0, most=1),
        _JUDGES,
        _SWEEPS,
    ),
)

_SINKHORN = Method(
    "sinkhorn",
    "Sinkhorn re-basin",
    Needs.NOTHING,
    "match_sinkhorn",
    Counts.STEPS,
    (
        Option(
            "learnt",
            "what is learnt: weights that agree, or a midpoint of low loss",
            "weights",
            choices=("weights", "midpoint"),
            asks={"midpoint": Needs.TARGETS},
        ),
        Option("steps", "number of steps", 100, least=1),
        Option("rate", "learning rate", 0.1, above=0),
        Option("temperature", "the smaller, the closer to a permutation", 1.0, above=0),
        Option("iterations", "how often rows and columns are scaled", 20, least=1),
        Option("batch_size", "samples per step", 500, least=1),
        _JUDGES,
    ),
)

_FRANK_WOLFE = Method(
    "frank-wolfe",
    "Frank–Wolfe",
    Needs.NOTHING,
    "match_frank_wolfe",
    Counts.STEPS,
    (
        Option("steps", "number of steps", 100, least=1),
        Option("start", "where it starts", "centre", choices=("centre", "identity")),
    ),
)

_COSINE = Method("cosine", "greedy cosine matching", Needs.NOTHING, "match_cosines", Counts.PARTS)

_STEEPEST = Method(
    "steepest",
    "steepest descent",
    Needs.TARGETS,
    "match_steepest",
    Counts.SWEEPS,
    (_BATCH, _SWEEPS),
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.key: method
        for method in (
            _WEIGHT,
            _ACTIVATION,
            _STRAIGHT_THROUGH,
            _SINKHORN,
            _FRANK_WOLFE,
            _COSINE,
            _STEEPEST,
        )
    }
)
"""Key → method."""


def find_method(key: str) -> Method:
    """Return the method of a key.

    Raises:
        MatchingError: there is none.
    """
    if key not in METHODS:
        raise MatchingError(f"there is no matching method {key!r}; there are {', '.join(METHODS)}")
    return METHODS[key]
