"""The softmax temperature: one number by which logits are divided (Guo et al. 2017, arXiv
1706.04599, section 4.2). Averaged weights give logits of another size than the models merged did,
and a single number brings the size back (arXiv 2510.08023). No prediction changes, only confidence.

The mean loss is convex in the inverse temperature; its minimum is found by Newton's method, kept
in a bracket, in float64. Where it has none (every sample is right, so that more confidence is
always better, or confidence only harms) the temperature ends at a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.task import IGNORED, LANGUAGE, REGRESSION
from engine.errors import RepairError
from engine.landscape.loss import check_outputs, check_targets, task_for
from engine.program import Program
from engine.repair.sites import Site

LOWEST, HIGHEST = 0.01, 100.0
"""Bounds of the temperature."""

MOST_STEPS = 100
PRECISION = 1e-10
"""Newton's method stops when a step changes the inverse temperature by less, relatively."""

CHUNK = 1 << 22
"""So many logits are widened to float64 at a time."""

MOST_LOGITS = 1 << 26
"""So many logits are kept; samples beyond (of large vocabularies) take no part."""


@dataclass(frozen=True)
class Fitted:
    """The temperature of one model, and the share of the samples that it has right."""

    temperature: float
    accuracy: float


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the temperature with the lowest mean cross-entropy, between LOWEST and HIGHEST.

    Args:
        logits: [N, C].
        targets: classes, int64 [N].

    Returns:
        1 where the logits do not depend on the class, NaN where one is NaN or infinite.
    """
    if not bool(logits.isfinite().all()):
        return math.nan
    low, high, inverse = 1 / HIGHEST, 1 / LOWEST, 1.0
    slope, curvature = _derivatives(logits, targets, inverse)
    if curvature == 0 and slope == 0:
        return 1.0
    for _ in range(MOST_STEPS):
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else math.nan
        # Outside the bracket, or where the curvature vanishes, halve it on a logarithmic scale.
        following = step if low < step < high else math.sqrt(low * high)
        done = abs(following - inverse) <= PRECISION * inverse
        inverse = following
        if done:
            break
        slope, curvature = _derivatives(logits, targets, inverse)
    return 1 / inverse


def point_temperature(
    program: Program,
    params: Mapping[str, Tensor],
    inputs: Sequence[Tensor],
    targets: Tensor,
    batch_size: int,
    check: Callable[[], None],
) -> Fitted:
    """Return the temperature of one model on training samples, and how many it has right.

    Raises:
        RepairError: the targets are values, or there is none.
        LandscapeError: the targets do not fit the outputs.
    """
    if task_for(targets) is REGRESSION:
        raise RepairError(
            "A softmax temperature is for classes or tokens; these targets are values."
        )
    rows, wanted, kept = [], [], 0
    for start in range(0, len(targets), batch_size):
        check()
        chosen = slice(start, start + batch_size)
        outputs = program(params, *(tensor[chosen] for tensor in inputs))
        own = targets[chosen]
        check_outputs(outputs.unsqueeze(0), own)
        check_targets(own, outputs.shape[-1])
        flat, own = outputs.reshape(-1, outputs.shape[-1]), own.reshape(-1)
        if task_for(targets) is LANGUAGE:
            flat, own = flat[own != IGNORED], own[own != IGNORED]
        rows.append(flat)
        wanted.append(own)
        kept += flat.numel()
        if kept >= MOST_LOGITS:
            break
    if kept == 0:
        raise RepairError("A softmax temperature needs at least one training sample with a label.")
    logits, answers = torch.cat(rows), torch.cat(wanted)
    right = float((logits.argmax(1) == answers).double().mean())
    return Fitted(fit_temperature(logits, answers), right)


def divided(head: Site, params: Mapping[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """Return the last layer's weight and bias, divided by the temperature."""
    names = [head.weight] if head.bias is None else [head.weight, head.bias]
    return {name: params[name] / temperature for name in names}


def _derivatives(logits: Tensor, targets: Tensor, inverse: float) -> tuple[float, float]:
    """Return the first and second derivative of the mean loss by the inverse temperature."""
    slope = curvature = 0.0
    for rows, wanted in _chunks(logits, targets):
        # Centred, so that the variance below does not cancel.
        centred = rows - rows.mean(1, keepdim=True)
        shares = (centred * inverse).softmax(1)
        mean = (shares * centred).sum(1)
        slope += float((mean - centred.gather(1, wanted[:, None])[:, 0]).sum())
        curvature += float((shares * (centred - mean[:, None]).square()).sum())
    return slope / len(targets), curvature / len(targets)


def _chunks(logits: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, CHUNK // logits.shape[1])
    for rows, wanted in zip(logits.split(size), targets.split(size), strict=True):
        yield rows.double(), wanted
