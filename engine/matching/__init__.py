"""Matching: methods that find the permutation of b closest to a, over one shared problem.

Names are imported on first use, so that the torch-free catalogue of methods costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.matching.activation_matching import ActivationMatch, match_activations
    from engine.matching.descent import coordinate_descent
    from engine.matching.methods import METHODS, Method
    from engine.matching.option import Needs, Option
    from engine.matching.problem import Problem
    from engine.matching.result import MatchResult, StopReason
    from engine.matching.run import obstacle, run_method
    from engine.matching.straight_through_estimator import StraightThroughMatch, straight_through
    from engine.matching.weight_matching import match_weights

_HOMES = {
    "activation_matching": ("ActivationMatch", "match_activations"),
    "descent": ("coordinate_descent",),
    "methods": ("METHODS", "Method"),
    "option": ("Needs", "Option"),
    "problem": ("Problem",),
    "result": ("MatchResult", "StopReason"),
    "run": ("obstacle", "run_method"),
    "straight_through_estimator": ("StraightThroughMatch", "straight_through"),
    "weight_matching": ("match_weights",),
}

__all__ = [
    # methods
    "METHODS",
    "Method",
    "Needs",
    "Option",
    "match_activations",
    "match_weights",
    "obstacle",
    "run_method",
    "straight_through",
    # results
    "ActivationMatch",
    "MatchResult",
    "StopReason",
    "StraightThroughMatch",
    # what methods are made of
    "Problem",
    "coordinate_descent",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"engine.matching.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
