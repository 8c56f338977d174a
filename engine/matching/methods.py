"""The matching methods by name: what each is called and what it needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from engine.matching.activation_matching import METHOD as ACTIVATION
from engine.matching.straight_through import METHOD as STRAIGHT_THROUGH
from engine.matching.weight_matching import METHOD as WEIGHT


class Needs(Enum):
    """What a method has to see besides the two models."""

    NOTHING = "nothing"
    INPUTS = "samples without labels"
    TARGETS = "samples with labels"


@dataclass(frozen=True)
class Method:
    """One way to find the permutation.

    Attributes:
        key: its name in options and results.
        title: how a sentence calls it.
        needs: what it has to see.
        call: the name of its function in `engine`.
    """

    key: str
    title: str
    needs: Needs
    call: str


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.key: method
        for method in (
            Method(WEIGHT, "weight matching", Needs.NOTHING, "match_weights"),
            Method(ACTIVATION, "activation matching", Needs.INPUTS, "match_activations"),
            Method(
                STRAIGHT_THROUGH, "straight-through estimator", Needs.TARGETS, "straight_through"
            ),
        )
    }
)
"""Key → method, from the quickest to the slowest."""
