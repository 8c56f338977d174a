"""Matching: methods that find the permutation of b closest to a, over one shared problem."""

from __future__ import annotations

from engine.matching.descent import coordinate_descent
from engine.matching.problem import Problem
from engine.matching.result import MatchResult, StopReason
from engine.matching.weight_matching import match_weights

__all__ = ["MatchResult", "Problem", "StopReason", "coordinate_descent", "match_weights"]
