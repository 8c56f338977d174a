"""Coordinate descent over permutations: the driver of weight matching and its relatives.

Ainsworth et al. 2022 (arXiv 2209.04836), algorithm 1: visit the permutations in random
order, solve each one's assignment problem with the others fixed, until a sweep brings no
gain. Three things differ from the authors' code, none of them changes what is found: a group
is visited again only if a neighbour changed since its last visit; its cost is kept and only
the part that the changed units contribute is recomputed; ties leave units where they are.
The result is a coordinate-wise optimum, not the global one, which is NP-hard to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.matching.result import StopReason
from engine.symmetry import Perms

Progress = Callable[[int, float], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Descent:
    """Where one start ended, and its way there (see MatchResult)."""

    perms: Perms
    trace: tuple[float, ...]
    stop_reason: StopReason

    @property
    def sweeps(self) -> int:
        """Return the number of sweeps."""
        return len(self.trace) - 1


class Costs:
    """The cost matrix of each group, kept and brought up to date when it is asked for.

    One n × n matrix per group stays in memory, made at the group's first visit.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._costs: dict[str, Tensor] = {}
        self._made_for: dict[str, Perms] = {}

    def of(self, group: str, perms: Perms) -> Tensor:
        """Return the group's cost for these permutations; it is overwritten by later calls."""
        if group in self._costs:
            self._problem.change(self._costs[group], group, self._made_for[group], perms)
        else:
            self._costs[group] = self._problem.cost(group, perms)
        self._made_for[group] = dict(perms)
        return self._costs[group]


def coordinate_descent(
    problem: Problem,
    start: Perms,
    generator: torch.Generator,
    *,
    max_sweeps: int = 100,
    solver: lap.Solver = lap.scipy_solver,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Descent:
    """Return a coordinate-wise optimum reached from `start`; the objective never falls.

    Args:
        problem: what is matched.
        start: the permutation of each group to begin with.
        generator: draws the order of each sweep.
        max_sweeps: at most this many sweeps.
        solver: solves the assignment problems.
        progress: called after each sweep with its number and the objective.
        should_stop: asked before each group.
    """
    blocks = tuple(problem.blocks)
    perms = dict(start)
    costs = Costs(problem)
    visit = Visit(problem, costs, solver)
    stale = set(blocks)
    trace = [problem.objective(perms)]
    for sweep in range(1, max_sweeps + 1):
        gained = 0.0
        for place in torch.randperm(len(blocks), generator=generator).tolist():
            block = blocks[place]
            if block not in stale:
                continue
            if should_stop is not None and should_stop():
                trace.append(trace[-1] + gained)
                return Descent(perms, tuple(trace), StopReason.CANCELLED)
            stale.discard(block)
            gain, better = visit(block, perms)
            if better:
                perms |= better
                gained += gain
                stale |= problem.neighbours[block]
        trace.append(trace[-1] + gained)
        if progress is not None:
            progress(sweep, trace[-1])
        if not stale or not gained:
            return Descent(perms, tuple(trace), StopReason.CONVERGED)
    return Descent(perms, tuple(trace), StopReason.MAX_SWEEPS)


class Visit:
    """Solve one block with all others fixed, and accept only what truly gains."""

    def __init__(self, problem: Problem, costs: Costs, solver: lap.Solver) -> None:
        self._problem = problem
        self._costs = costs
        self._solver = solver
        self._norms = {
            group: (problem.epsilon * a, b)
            for group in problem.sites
            for a, b in (problem.norms(group),)
        }

    def __call__(self, block: str, perms: Perms) -> tuple[float, dict[str, Tensor]]:
        """Return the gain and the permutations that change, none if nothing gains."""
        if block in self._problem.families:
            return self._family(block, perms)
        current = perms[block]
        cost = self._costs.of(block, perms)
        proposed = lap.solve(cost, block, self._solver)
        a, b = self._norms[block]
        tolerance = a * (b[current] + b[proposed])
        better = lap.improve(cost, current, proposed, tolerance)
        if better is current:
            return 0.0, {}
        if block in self._problem.neighbours[block]:
            # The cost is only the gradient here: a parameter carries the group twice.
            return self._truly(perms, {block: better}, float(tolerance.sum()))
        return lap.assigned(cost, better) - lap.assigned(cost, current), {block: better}

    def _family(self, head: str, perms: Perms) -> tuple[float, dict[str, Tensor]]:
        family = self._problem.families[head]
        gain, changes, tolerance = family.visit(perms, self._solver)
        if not changes:
            return 0.0, {}
        if head in self._problem.neighbours[head]:
            return self._truly(perms, changes, tolerance)
        return (gain, changes) if gain > 0 else (0.0, {})

    def _truly(
        self, perms: Perms, changes: dict[str, Tensor], tolerance: float
    ) -> tuple[float, dict[str, Tensor]]:
        """Return the changes if the objective itself rises by more than rounding."""
        before = self._problem.objective(perms, *changes)
        gain = self._problem.objective({**perms, **changes}, *changes) - before
        return (gain, changes) if gain > tolerance else (0.0, {})
