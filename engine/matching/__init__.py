"""Matching: methods that find the permutation of b closest to a, over one shared problem."""

from __future__ import annotations

from engine.matching.activation_matching import ActivationMatch, match_activations
from engine.matching.descent import coordinate_descent
from engine.matching.methods import METHODS, Method, Needs
from engine.matching.problem import Problem
from engine.matching.result import MatchResult, StopReason
from engine.matching.straight_through import StraightThroughMatch, straight_through
from engine.matching.weight_matching import match_weights

__all__ = [
    # methods
    "METHODS",
    "Method",
    "Needs",
    "match_activations",
    "match_weights",
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
