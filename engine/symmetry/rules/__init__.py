"""The rules of all ops, by family; importing this package fills the registry."""

from engine.symmetry.rules import contraction, join, norm, pointwise, reduce, shape
from engine.symmetry.rules.registry import RULES, Axes, Call, NoRuleError, Rule, Shape, Value, rule

__all__ = [
    *("RULES", "Axes", "Call", "NoRuleError", "Rule", "Shape", "Value", "rule"),
    *("contraction", "join", "norm", "pointwise", "reduce", "shape"),
]
