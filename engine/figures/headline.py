"""The sentence above the picture: what the permutation did to the barrier, with its numbers.

It speaks of the test loss and of the barrier by Git Re-Basin's definition 2.2, the maximum of
L(λ) − ½(L(0) + L(1)). That maximum is at least half the difference of the two ends, so a path
counts as free of a barrier when no point between the ends is distinguishably above them: its
maximum lies at an end, or within two standard errors of zero, or rounds to .00 (`task.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.data.task import CLASSIFICATION
from engine.figures.geometry import Summary
from engine.figures.numbers import count, is_number, power_of_ten
from engine.figures.task import ROUNDS_TO_ZERO, Words, words

Tone = Literal["good", "part", "none", "bad", "unknown"]
SIGNS: Mapping[str, str] = {"good": "✓", "part": "◐", "none": "○", "bad": "✕", "unknown": "?"}
SIGNIFICANT = 2.0  # standard errors


@dataclass(frozen=True)
class Headline:
    """One sentence, how it is meant (never told by colour alone), and its small print."""

    text: str
    tone: Tone
    detail: str


def headline(summary: Summary) -> Headline:
    """Return the sentence for a result's summary, whatever happened."""
    naive, rebased = _barrier(summary, "naive"), _barrier(summary, "rebasin")
    told = words(summary)
    special = _special(summary, naive, told)
    if special is not None:
        return Headline(*special, _detail(summary))
    before, after = naive["git_rebasin"], rebased.get("git_rebasin")
    if not is_number(after):
        known = told.loss(before, 2)
        text = f"The loss diverges between A and π(B); from A to B the barrier is {known}"
        return Headline(text, "unknown", _detail(summary))
    arrow = f"{told.loss(before, 2)} → {told.loss(after, 2)}"
    return Headline(*_verdict(naive, rebased, arrow, told.small), _detail(summary))


def removed_share(summary: Summary) -> float | None:
    """Return which share of the naive test barrier is gone; None where that has no meaning."""
    before = _barrier(summary, "naive").get("git_rebasin")
    after = _barrier(summary, "rebasin").get("git_rebasin")
    if not is_number(before) or not is_number(after) or before <= words(summary).small:
        return None
    return 1 - after / before


def free_of_barrier(barrier: Mapping[str, Any], small: float = ROUNDS_TO_ZERO) -> bool:
    """Say whether no point of a path is distinguishably above its ends, `small` losses apart."""
    height, error = barrier.get("git_rebasin"), barrier.get("git_rebasin_se") or 0.0
    if not is_number(height):
        return False
    at_an_end = barrier.get("worst") in (0.0, 1.0)
    return at_an_end or height <= SIGNIFICANT * error or height < small


def whole_percent(share: float) -> int:
    """Round a share for the headline: never up to 100 % of something that is not all gone."""
    return max(1, min(99, round(100 * share)))


def proof_lead(summary: Summary) -> str:
    """Return what the proof line begins with: that π(B) is B, where it was proved and measured."""
    measured = (summary.get("equivalence") or {}).get("max_abs_logit_difference")
    proved = (summary.get("proof") or {}).get("passed") is True
    return "✓ π(B) is B:" if proved and is_number(measured) else "? π(B) and B:"


def proof_sentence(summary: Summary) -> str:
    """Return what shows that π(B) is B, without its mark: the measured difference in logits."""
    output = words(summary).output
    measured = summary.get("equivalence") or {}
    difference = measured.get("max_abs_logit_difference")
    if not is_number(difference):
        return (
            f"the {output}s of π(B) are not finite, so that its equality to B cannot be measured."
        )
    samples = count(measured["samples"])
    if difference == 0:
        return f"every {output} on {samples} samples is equal, bit for bit."
    size = power_of_ten(difference)
    return f"the largest difference in any {output} on {samples} samples is {size}."


def _special(summary: Summary, naive: Mapping[str, Any], told: Words) -> tuple[str, Tone] | None:
    """Return the sentence of the cases in which there is no barrier to speak of removing."""
    matching, distance = summary.get("matching") or {}, summary.get("distance") or {}
    before = naive.get("git_rebasin")
    if distance.get("a_b") == 0:
        return "A and B are the same network", "none"
    if not (summary.get("symmetry") or {}).get("groups"):
        return (
            f"These networks have no permutation symmetry: barrier {told.loss(before, 2)}",
            "none",
        )
    if not is_number(before):
        return "The loss diverges between A and B: the barrier is not a number", "unknown"
    if matching.get("moved_units") == 0:
        kept = f"Weight matching keeps B as it is: barrier {told.loss(before, 2)}"
        return (
            (f"{kept}, none to remove", "none")
            if free_of_barrier(naive, told.small)
            else (kept, "none")
        )
    return None


def _verdict(
    naive: Mapping[str, Any], rebased: Mapping[str, Any], arrow: str, small: float
) -> tuple[str, Tone]:
    """Compare the two barriers within their standard errors."""
    before, after = naive["git_rebasin"], rebased["git_rebasin"]
    error = math.hypot(naive.get("git_rebasin_se") or 0, rebased.get("git_rebasin_se") or 0)
    certain = abs(after - before) > max(SIGNIFICANT * error, small)
    if free_of_barrier(naive, small):
        if after > before and certain and not free_of_barrier(rebased, small):
            return f"No barrier between A and B, but one between A and π(B): {arrow}", "bad"
        return f"There is no barrier between A and B to begin with: {arrow}", "none"
    if after > before and certain:
        return f"Permuting B makes the barrier higher: {arrow}", "bad"
    if not certain:
        return f"Permuting B does not change the barrier measurably: {arrow}", "none"
    if free_of_barrier(rebased, small):
        return f"Permuting B removes the whole barrier: {arrow}", "good"
    share = whole_percent(1 - after / before)
    return f"Permuting B removes {share}\u202f% of the barrier: {arrow}", "part"


def _detail(summary: Summary) -> str:
    """Return the small print: both barriers with their standard errors, and on what."""
    test = (summary.get("data") or {}).get("test") or {}
    parts, told = [], words(summary)
    for name, path in (("naive", "A to B"), ("rebasin", "A to π(B)")):
        barrier = _barrier(summary, name)
        error = barrier.get("git_rebasin_se")
        within = f" ± {told.loss(error)}" if is_number(error) else ""
        parts.append(f"{path} {told.loss(barrier.get('git_rebasin'))}{within}")
    samples = f", on {count(test['samples'])} test samples" if "samples" in test else ""
    measure = "" if told.task is CLASSIFICATION else f" ({told.task.measured})"
    return f"Barrier in test loss{measure}: {', '.join(parts)} (± one standard error{samples})."


def _barrier(summary: Summary, name: str) -> Mapping[str, Any]:
    """Return one path's test barrier, or an empty mapping."""
    return ((summary.get("barriers") or {}).get(name) or {}).get("test") or {}
