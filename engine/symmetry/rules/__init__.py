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
    regroup,
    shape,
    strided,
)
from engine.symmetry.rules.apart import followed, joined, tensors_of
from engine.symmetry.rules.folded import divided, merged
from engine.symmetry.rules.registry import (
    RULES,
    Apart,
    Axes,
    Call,
    Folded,
    NoRuleError,
    Rule,
    Value,
    rule,
)

__all__ = [
    "RULES",
    "Apart",
    "Axes",
    "Call",
    "Folded",
    "NoRuleError",
    "Rule",
    "Value",
    "attention",
    "contraction",
    "divided",
    "followed",
    "gather",
    "join",
    "joined",
    "merged",
    "norm",
    "pointwise",
    "products",
    "recurrent",
    "reduce",
    "regroup",
    "rule",
    "shape",
    "strided",
    "tensors_of",
]
