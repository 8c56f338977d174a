"""Frank–Wolfe: all permutations at once, relaxed to doubly stochastic matrices.

The matcher of C2M3 (Crisostomi et al. 2024, arXiv 2405.17897, section 3) for two models:
maximise ⟨a, P(b)⟩ over all matrices P together. Each step asks at which corner (which
permutations) the linear approximation is largest, one assignment problem per group, and goes
towards it as far as the objective is best. Along that line the objective is a polynomial of
low degree, so the best place is exact. In the end the nearest permutations are taken, and
coordinate descent goes on from there until no single permutation gains.

Needs no data. Nested groups are relaxed as well (see `relaxation.py`). Does not find sharper
optima by several starts: nothing is drawn at random but the order of the last descent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.descent import coordinate_descent
from engine.matching.problem import Problem
from engine.matching.relaxation import Matrices, Relaxation
from engine.matching.result import MatchResult, StopReason
from engine.matching.settle import settled
from engine.symmetry import Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

METHOD = "frank-wolfe"
Start = Literal["centre", "identity"]
STARTS: tuple[Start, ...] = ("centre", "identity")

CONVERGED = 1e-5
"""It ends when the linear approximation promises less than this share of the objective."""


@dataclass(frozen=True)
class FrankWolfeMatch(MatchResult):
    """A MatchResult of Frank–Wolfe; `sweeps` counts its steps.

    Attributes:
        trace: the relaxed objective at the start and after each step; it never falls.
            `objective`, of permutations, may lie below its end.
        objective_nearest: that of the nearest permutations, before coordinate descent.
        gaps: what the linear approximation promised at each step, an upper bound of what
            is left to gain where the objective is concave.
    """

    objective_nearest: float
    gaps: tuple[float, ...]


def match_frank_wolfe(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    *,
    steps: int = 100,
    start: Start = "centre",
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> FrankWolfeMatch:
    """Return the permutation of b that Frank–Wolfe finds.

    Args:
        program: the model, for the names of its running statistics.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        steps: at most this many, at least 1.
        start: "centre", where all units are mixed alike, or "identity".
        seed: of the visiting orders of the descent at the end.
        progress: called after each step with its number and the relaxed objective.
        should_stop: asked before each step and group; the permutations nearest to what was
            reached are returned.
        device: where the products run.

    Raises:
        MatchingError: the models do not fit, or an option makes no sense.
        NonFiniteError: a model holds NaN or infinite values.
    """
    if steps < 1:
        raise MatchingError(f"steps must be at least 1, not {steps}")
    if start not in STARTS:
        raise MatchingError(f"start is one of {', '.join(STARTS)}, not {start!r}")
    began = time.perf_counter()
    problem = Problem(symmetry, a, b, exclude=program.statistics_names, device=device)
    identity = problem.identity()
    relaxation = Relaxation(problem, a, b)
    first = relaxation.centre() if start == "centre" else relaxation.corner(identity)
    ascent = _Ascent(relaxation, first)
    reason = StopReason.ALL_STEPS if symmetry.groups else StopReason.NO_SYMMETRY
    for step in range(1, steps + 1):
        if reason is not StopReason.ALL_STEPS:
            break
        if should_stop is not None and should_stop():
            reason = StopReason.CANCELLED
        elif not ascent.step():
            reason = StopReason.CONVERGED
        elif progress is not None:
            progress(step, ascent.trace[-1])
    with torch.inference_mode():
        nearest = relaxation.nearest(ascent.matrices)
        generator = torch.Generator().manual_seed(seed)
        descent = coordinate_descent(problem, nearest, generator, should_stop=should_stop)
        perms = settled(problem, descent.perms)
        objective = problem.objective(perms)
        cancelled = descent.stop_reason is StopReason.CANCELLED
        return FrankWolfeMatch(
            permutation=Permutation(perms, symmetry.within),
            objective=objective,
            objective_identity=problem.objective(identity),
            trace=tuple(ascent.trace),
            sweeps=len(ascent.trace) - 1,
            restarts=(objective,),
            stop_reason=StopReason.CANCELLED if cancelled else reason,
            seconds=time.perf_counter() - began,
            method=METHOD,
            seed=seed,
            objective_nearest=problem.objective(nearest),
            gaps=tuple(ascent.gaps),
        )


class _Ascent:
    """Doubly stochastic matrices on their way up."""

    def __init__(self, relaxation: Relaxation, matrices: Matrices) -> None:
        self._relaxation = relaxation
        self.matrices = matrices
        self.trace = [relaxation.value(matrices)]
        self.gaps: list[float] = []

    def step(self) -> bool:
        """Go to the best place towards the best corner; return whether there was any gain."""
        here, relaxation = self.matrices, self._relaxation
        value, slopes = relaxation.slopes(here)
        corner = relaxation.corner(relaxation.nearest(slopes))
        way = {name: corner[name] - matrix for name, matrix in here.items()}
        gap = sum(float((slopes[n] * w).sum(dtype=torch.float64)) for n, w in way.items())
        self.gaps.append(gap)
        if gap <= CONVERGED * abs(value):
            return False
        share, reached = self._best(value, gap, way)
        if share == 0 or reached <= self.trace[-1]:
            return False
        self.matrices = {name: matrix + share * way[name] for name, matrix in here.items()}
        self.trace.append(reached)
        return True

    def _best(self, value: float, slope: float, way: Matrices) -> tuple[float, float]:
        """Return the best share of the way, and the objective there.

        The polynomial follows from its value and slope here and its values on the way.
        """
        degree = self._relaxation.degree
        places = np.linspace(0, 1, degree)[1:] if degree > 1 else np.array([])
        reached = [
            self._relaxation.value({n: m + t * way[n] for n, m in self.matrices.items()})
            for t in places
        ]
        powers = np.arange(2, degree + 1)
        rest = np.array(reached) - value - slope * places
        higher = np.linalg.solve(places[:, None] ** powers, rest) if degree > 1 else []
        line = np.polynomial.Polynomial([value, slope, *higher])
        turns = [t.real for t in line.deriv().roots() if abs(t.imag) < 1e-9 and 0 < t.real < 1]
        best = max([1.0, *turns], key=lambda t: float(line(t)))
        return (best, float(line(best))) if line(best) > value else (0.0, value)
