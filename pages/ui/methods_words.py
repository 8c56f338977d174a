"""What the page says of each method and repair: one line, what it needs, why it cannot run here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.figures.numbers import duration, is_number
from engine.matching.methods import METHODS
from engine.matching.option import Needs

SENTENCES: Mapping[str, str] = {
    "weight": "Weights that agree: one permutation at a time, until nothing is gained.",
    "activation": "Units that do the same on data, whatever they are made of.",
    "ste": "A midpoint of low loss, sought by gradient steps; slow, and starts from weights.",
    "sinkhorn": "Soft permutations, moved by gradients until they are hard.",
    "frank-wolfe": "Weights that agree, all permutations at once.",
    "annealing": "Weights that agree, with shaking to leave a poor optimum.",
    "cosine": "Layer by layer, greedily, the units that point the same way.",
    "steepest": "One step along the gradient of A's loss, made a permutation.",
}
COSTS: Mapping[str, float] = {"weight": 1.0, "activation": 0.6, "cosine": 0.3, "steepest": 1.0}
"""Seconds in those of weight matching, measured on the built-in pair; of others nothing is said."""

NO_GROUPS = "This network has no permutation symmetry: there is nothing to match."
NO_BATCH_NORM = "This network has no BatchNorm: there is nothing to reset."
NO_SOFTMAX = "A regression has no softmax."


def method_line(key: str, provenance: Mapping[str, Any]) -> str:
    """Return a method in one line: what it looks for, what it needs, how long it takes."""
    parts = [SENTENCES.get(key, "")]
    if METHODS[key].needs is not Needs.NOTHING:
        parts.append(f"Sees training {METHODS[key].needs.value}.")
    spent = (provenance.get("seconds") or {}).get("match")
    if key in COSTS and is_number(spent):
        parts.append(f"About {duration(max(COSTS[key] * spent, 0.1))}.")
    elif key == "ste" and is_number(spent):
        parts.append(f"About {duration(0.25 * spent)} a step.")
    return " ".join(part for part in parts if part)


def method_obstacle(summary: Mapping[str, Any]) -> str | None:
    """Say why no method can run on the network of a comparison, None where they can."""
    groups = (summary.get("symmetry") or {}).get("groups")
    return None if groups else NO_GROUPS


def repair_obstacle(key: str, summary: Mapping[str, Any]) -> str | None:
    """Say why a repair means nothing for the network of a comparison, None where it may."""
    if key == "reset" and not (summary.get("batch_norm") or {}).get("layers"):
        return NO_BATCH_NORM
    if key == "temperature" and (summary.get("task") or {}).get("kind") == "regression":
        return NO_SOFTMAX
    return None
