"""The rules of all ops, one family per file; importing this package fills the registry."""

from engine.symmetry.rules import contraction, join, norm, pointwise, reduce, shape
from engine.symmetry.rules.registry import RULES, Axes, Call, NoRuleError, Rule, Value, rule

__all__ = [
    "RULES",
    "Axes",
    "Call",
    "NoRuleError",
    "Rule",
    "Value",
    "contraction",
    "join",
    "norm",
    "pointwise",
    "reduce",
    "rule",
    "shape",
]
