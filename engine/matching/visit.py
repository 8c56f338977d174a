"""One visit of a block: its cost brought up to date, its assignment solved, what gains kept.

Begin and end are two calls, so that the assignment problems of blocks that do not touch one
another are solved beside each other, in threads: lapx and SciPy let other
threads run. Costs are made by the calling thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.matching.site import Site
from engine.symmetry import Perms

Solving = Callable[[], np.ndarray]
"""What waits for an assignment that is being solved, and returns it."""


class Costs:
    """The cost matrix of each group, kept and brought up to date when it is asked for.

    One n × n matrix per group stays in memory, made at the group's first visit. A site counts
    from when it is first asked for.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._costs: dict[str, Tensor] = {}
        self._counted: dict[str, set[Site]] = {}
        self._made_for: dict[str, Perms] = {}

    def of(self, group: str, perms: Perms, known: Collection[str] | None = None) -> Tensor:
        """Return the group's cost for these permutations; it is overwritten by later calls.

        Args:
            group: the group to be matched.
            perms: the permutations of all groups (see `Problem.cost`).
            known: if given, only the sites where no other groups than these count; all that
                were asked for before must be among them.
        """
        cost = self._costs.get(group)
        if cost is None:
            cost = self._costs[group] = self._problem.no_cost(group)
        counted = self._counted.setdefault(group, set())
        for site in self._problem.sites[group]:
            if site in counted:
                site.add_change(cost, self._made_for[group], perms)
            elif known is None or site.neighbours.issubset(known):
                site.add_cost(cost, perms)
                counted.add(site)
        self._made_for[group] = dict(perms)
        return cost

    def kept(self, group: str) -> Tensor:
        """Return the group's cost as it was when it was last asked for."""
        return self._costs[group]


class Visit:
    """Solve one block with all others fixed, and accept only what truly gains.

    Args:
        problem: what is matched.
        solver: solves the assignment problems; it is called from several threads.
        pool: where they are solved; None for here and now.
    """

    def __init__(
        self, problem: Problem, solver: lap.Solver = lap.fastest, pool: Executor | None = None
    ) -> None:
        self._problem = problem
        self._costs = Costs(problem)
        self._solver = solver
        self._pool = pool
        self._norms = {
            group: (problem.epsilon * a, b)
            for group in problem.sites
            for a, b in (problem.norms(group),)
        }

    def begin(
        self, block: str, perms: Perms, known: Collection[str] | None = None
    ) -> Solving | None:
        """Bring a block's cost up to date and have its assignment solved; None for a family.

        Args:
            block: what is visited.
            perms: all permutations.
            known: if given, only the sites where no other groups than these count.
        """
        if block in self._problem.families:
            return None
        matrix = lap.finite_matrix(self._costs.of(block, perms, known), block)
        if self._pool is None:
            return partial(self._solver, matrix)
        return self._pool.submit(self._solver, matrix).result

    def end(
        self,
        block: str,
        perms: Perms,
        solving: Solving | None,
        known: Collection[str] | None = None,
    ) -> tuple[float, dict[str, Tensor]]:
        """Return the gain and the permutations that change, none if nothing gains.

        Args:
            block: what was begun.
            perms: all permutations; since then none may have changed that the block depends on.
            solving: what `begin` returned.
            known: what was given to `begin`; the gain is then that of the known sites.
        """
        if solving is None:
            return self._family(block, perms, known)
        current = perms[block]
        cost = self._costs.kept(block)
        proposed = torch.from_numpy(solving()).to(current.device)
        a, b = self._norms[block]
        tolerance = a * (b[current] + b[proposed])
        better = lap.improve(cost, current, proposed, tolerance)
        if better is current:
            return 0.0, {}
        if known is None and block in self._problem.neighbours[block]:
            # The cost is only the gradient here: a parameter carries the group twice.
            return self._truly(perms, {block: better}, float(tolerance.sum()))
        return lap.assigned(cost, better) - lap.assigned(cost, current), {block: better}

    def _family(
        self, head: str, perms: Perms, known: Collection[str] | None
    ) -> tuple[float, dict[str, Tensor]]:
        family = self._problem.families[head]
        gain, changes, tolerance = family.visit(perms, self._solver, known)
        if not changes:
            return 0.0, {}
        if known is None and head in self._problem.neighbours[head]:
            return self._truly(perms, changes, tolerance)
        return (gain, changes) if gain > 0 else (0.0, {})

    def _truly(
        self, perms: Perms, changes: dict[str, Tensor], tolerance: float
    ) -> tuple[float, dict[str, Tensor]]:
        """Return the changes if the objective itself rises by more than rounding."""
        before = self._problem.objective(perms, *changes)
        gain = self._problem.objective({**perms, **changes}, *changes) - before
        return (gain, changes) if gain > tolerance else (0.0, {})
