"""What a derivation could not use: every fixed axis with its reason, every op without a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.symmetry.axes import Expression, places
from engine.symmetry.stacks import Held
from engine.symmetry.unify import Algebra


@dataclass(frozen=True)
class Report:
    """What is fixed and why."""

    fixed: tuple[str, ...]
    """One sentence per reason, naming each parameter, axis and size."""

    ops_without_rule: tuple[str, ...]
    """Names of the ops whose axes were all fixed, in graph order."""


def describe(parameters: Sequence[Held], algebra: Algebra, ops: tuple[str, ...]) -> Report:
    """Collect the fixed stretches of all parameters by reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for held in parameters:
        for index, axis in enumerate(held.axes):
            for reason, words in _fixed_stretches(algebra.resolve(axis), algebra).items():
                where = by_reason.setdefault(reason, {}).setdefault(held.name, [])
                if (place := f"axis {index} ({words})") not in where:
                    where.append(place)
    sentences = (
        "; ".join(f"{name} {', '.join(words)}" for name, words in where.items()) + f": {reason}"
        for reason, where in by_reason.items()
    )
    return Report(tuple(sentences), ops)


def _fixed_stretches(axis: Expression, algebra: Algebra) -> dict[str, str]:
    """Return reason → how much of the axis it fixes, in words."""
    found: dict[str, dict[str, None]] = {}
    for place in places(axis):
        if algebra.is_fixed(place.atom):
            size = place.atom.size
            words = f"{size}" if size == axis.size else f"{size} of {axis.size}"
            found.setdefault(algebra.reason(place.atom), {})[words] = None
    return {reason: ", ".join(words) for reason, words in found.items()}
