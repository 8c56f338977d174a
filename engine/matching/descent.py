"""Coordinate descent over permutations: the driver of weight matching and its relatives.

Ainsworth et al. 2022 (arXiv 2209.04836), algorithm 1: visit the permutations in random
order, solve each one's assignment problem with the others fixed, until a sweep brings no
gain. Four things differ from the authors' code, none of them changes what is found: a group
is visited again only if a neighbour changed since its last visit; its cost is kept and only
the part that the changed units contribute is recomputed; ties leave units where they are; and
groups that follow one another in the order and share no parameter are solved beside each other.
The result is a coordinate-wise optimum, not the global one, which is NP-hard to find.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.matching.result import StopReason
from engine.matching.visit import Visit
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


def coordinate_descent(
    problem: Problem,
    start: Perms,
    generator: torch.Generator,
    *,
    max_sweeps: int = 100,
    solver: lap.Solver = lap.fastest,
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
    with Climber(problem, solver, should_stop) as climber:
        return climber.climb(
            start, generator, problem.objective(start), max_sweeps=max_sweeps, progress=progress
        )


@dataclass
class Sweep:
    """One sweep under way: where the permutations are, what must be visited, what was gained."""

    perms: dict[str, Tensor]
    stale: set[str]
    gained: float = 0.0
    cancelled: bool = False


class Climber:
    """Coordinate descents on one problem, which share its costs; to be used as a context.

    Args:
        problem: what is matched.
        solver: solves the assignment problems, in as many threads as torch has.
        should_stop: asked before each group.

    Attributes:
        problem, should_stop: as given.
        visit: visits single blocks; what it keeps serves the descents.
    """

    def __init__(
        self,
        problem: Problem,
        solver: lap.Solver = lap.fastest,
        should_stop: ShouldStop | None = None,
    ) -> None:
        threads = torch.get_num_threads()
        self.problem = problem
        self.should_stop = should_stop
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.visit = Visit(problem, solver, self._pool)

    def __enter__(self) -> Climber:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def climb(
        self,
        start: Perms,
        generator: torch.Generator,
        objective: float,
        *,
        stale: Collection[str] | None = None,
        max_sweeps: int = 100,
        progress: Progress | None = None,
    ) -> Descent:
        """Return a coordinate-wise optimum reached from `start`.

        Args:
            start: the permutation of each group.
            generator: draws the order of each sweep.
            objective: that of the start.
            stale: the blocks that may gain; by default all.
            max_sweeps: at most this many sweeps.
            progress: called after each sweep with its number and the objective.
        """
        blocks = tuple(self.problem.blocks)
        now = Sweep(dict(start), set(blocks if stale is None else stale))
        trace = [objective]
        for sweep in range(1, max_sweeps + 1):
            now.gained = 0.0
            order = [blocks[k] for k in torch.randperm(len(blocks), generator=generator).tolist()]
            self._sweep(order, now)
            trace.append(trace[-1] + now.gained)
            if now.cancelled:
                return Descent(now.perms, tuple(trace), StopReason.CANCELLED)
            if progress is not None:
                progress(sweep, trace[-1])
            if not now.stale or not now.gained:
                return Descent(now.perms, tuple(trace), StopReason.CONVERGED)
        return Descent(now.perms, tuple(trace), StopReason.MAX_SWEEPS)

    def _sweep(self, order: Sequence[str], now: Sweep) -> None:
        """Visit the blocks that may gain in their order, independent ones together."""
        place = 0
        while place < len(order) and not now.cancelled:
            together, place = self.independent(order, place, now.stale)
            begun = []
            for block in together:
                if self.should_stop is not None and self.should_stop():
                    now.cancelled = True
                    break
                now.stale.discard(block)
                begun.append((block, self.visit.begin(block, now.perms)))
            for block, solving in begun:
                gain, better = self.visit.end(block, now.perms, solving)
                if better:
                    now.perms |= better
                    now.gained += gain
                    now.stale |= self.problem.neighbours[block]

    def independent(
        self, order: Sequence[str], place: int, stale: Collection[str]
    ) -> tuple[list[str], int]:
        """Return the next blocks to be visited that do not touch each other, and what follows.

        The result is that of visiting one after the other: none of them changes another's
        cost, nor whether a block before the next place must be visited.
        """
        together: list[str] = []
        touched: set[str] = set()
        while place < len(order) and order[place] not in touched:
            if order[place] in stale:
                together.append(order[place])
                touched |= self.problem.neighbours[order[place]]
            place += 1
        return together, place
