"""Matching: methods that find the permutation of b closest to a, over one shared problem.

Names are imported on first use, so that the torch-free catalogue of methods costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.matching.activation_matching import ActivationMatch, match_activations
    from engine.matching.cosine import match_cosines
    from engine.matching.descent import coordinate_descent
    from engine.matching.frank_wolfe import FrankWolfeMatch, match_frank_wolfe
    from engine.matching.methods import METHODS, Method
    from engine.matching.option import Needs, Option
    from engine.matching.problem import Problem
    from engine.matching.result import MatchResult, StopReason
    from engine.matching.run import obstacle, run_method
    from engine.matching.sinkhorn_rebasin import SinkhornMatch, match_sinkhorn
    from engine.matching.steepest_descent import SteepestDescentMatch, match_steepest
    from engine.matching.straight_through_estimator import StraightThroughMatch, straight_through
    from engine.matching.weight_matching import match_weights

_HOMES = {
    "activation_matching": ("ActivationMatch", "match_activations"),
    "cosine": ("match_cosines",),
    "descent": ("coordinate_descent",),
    "frank_wolfe": ("FrankWolfeMatch", "match_frank_wolfe"),
    "methods": ("METHODS", "Method"),
    "option": ("Needs", "Option"),
    "problem": ("Problem",),
    "result": ("MatchResult", "StopReason"),
    "run": ("obstacle", "run_method"),
    "sinkhorn_rebasin": ("SinkhornMatch", "match_sinkhorn"),
    "steepest_descent": ("SteepestDescentMatch", "match_steepest"),
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
    "match_cosines",
    "match_frank_wolfe",
    "match_sinkhorn",
    "match_steepest",
    "match_weights",
    "obstacle",
    "run_method",
    "straight_through",
    # results
    "ActivationMatch",
    "FrankWolfeMatch",
    "MatchResult",
    "SinkhornMatch",
    "SteepestDescentMatch",
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
