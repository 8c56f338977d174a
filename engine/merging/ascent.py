"""Coordinate ascent over models: each in turn is matched to the mean of the others.

Ainsworth et al. 2022 (arXiv 2209.04836), algorithm 3: the models are visited in random order,
each is matched to the mean of all others by coordinate descent over its groups, until no model
changes. The sum over all pairs, which this raises at every visit, is bounded, so it ends. The
result is an optimum for each model alone, not the best of all, which is NP-hard to find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.matching.anchored import anchored_start
from engine.matching.descent import coordinate_descent
from engine.matching.problem import Problem
from engine.matching.result import StopReason
from engine.merging.joint import Joint
from engine.symmetry import Perms, Permutation

NOT_DONE_PER_ROUND = 0.7
"""How many rounds it takes is not known beforehand; most take three to eight."""


@dataclass(frozen=True)
class Ascent:
    """Where a start ended, and its way there (see Alignment)."""

    permutations: tuple[Permutation, ...]
    trace: tuple[float, ...]
    stop_reason: StopReason

    @property
    def objective(self) -> float:
        """The objective at the end."""
        return self.trace[-1]


def ascend(
    joint: Joint,
    start: Sequence[Permutation],
    generator: torch.Generator,
    *,
    max_rounds: int,
    max_sweeps: int,
    progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Ascent:
    """Return permutations of which no single model's can be improved; the objective never falls.

    Args:
        joint: what is aligned.
        start: a permutation per model to begin with.
        generator: draws the order of each round and of each matching.
        max_rounds: at most so many visits of all models.
        max_sweeps: at most so many sweeps per matching.
        progress: called after each visit with the share done.
        should_stop: asked before each group.
    """
    permutations, count = list(start), len(joint)
    trace = [joint.objective(permutations)]
    if not joint.symmetry.groups:
        return Ascent(tuple(permutations), tuple(trace), StopReason.NO_SYMMETRY)
    stale = set(range(count))
    for round_number in range(max_rounds):
        for visited, number in enumerate(torch.randperm(count, generator=generator).tolist()):
            if number not in stale:
                continue
            problem = joint.against_others(number, permutations)
            found = coordinate_descent(
                problem,
                _start(problem, permutations[number], round_number == 0),
                generator,
                max_sweeps=max_sweeps,
                should_stop=should_stop,
            )
            better = Permutation(
                {name: p.cpu() for name, p in found.perms.items()}, joint.symmetry.within
            )
            if found.stop_reason is not StopReason.MAX_SWEEPS:
                stale.discard(number)
            if better != permutations[number]:
                permutations[number] = better
                stale |= set(range(count)) - {number}
            if found.stop_reason is StopReason.CANCELLED:
                trace.append(joint.objective(permutations))
                return Ascent(tuple(permutations), tuple(trace), StopReason.CANCELLED)
            if progress is not None:
                progress(1 - NOT_DONE_PER_ROUND ** (round_number + (visited + 1) / count))
        trace.append(joint.objective(permutations))
        if not stale:
            return Ascent(tuple(permutations), tuple(trace), StopReason.CONVERGED)
    return Ascent(tuple(permutations), tuple(trace), StopReason.MAX_SWEEPS)


def _start(problem: Problem, permutation: Permutation, first: bool) -> Perms:
    """Return where a model stands now; in networks with nested groups what is anchored if better.

    Those are mostly transformers, about whose residual streams the present order says little.
    """
    here = {name: p.to(problem.device) for name, p in permutation.items()}
    if not first or not problem.families:
        return here
    anchored = anchored_start(problem)
    return anchored if problem.objective(anchored) > problem.objective(here) else here
