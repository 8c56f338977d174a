"""The rules of all ops, one family per file; importing this package fills the registry."""

from engine.symmetry.rules import (
    attention,
    contraction,
    gather,
    join,
    norm,
    pointwise,
    products,
    recurrent,
    reduce,
    shape,
    strided,
)
from engine.symmetry.rules.registry import RULES, Axes, Call, NoRuleError, Rule, Value, rule

__all__ = [
    "RULES",
    "Axes",
    "Call",
    "NoRuleError",
    "Rule",
    "Value",
    "attention",
    "contraction",
    "gather",
    "join",
    "norm",
    "pointwise",
    "products",
    "recurrent",
    "reduce",
    "rule",
    "shape",
    "strided",
]
