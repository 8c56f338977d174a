"""Greedy cosine matching: unit by unit, each to the one that points in most nearly its direction.

For the record, as one of the simple ways that Git Re-Basin (Ainsworth et al. 2022, arXiv
2209.04836) sets aside: one pass over the groups, from the inputs onwards, without going back. In
each group the pair of units with the largest cosine is taken, then the largest of what is left,
and so on; only weights whose other axes are fixed or matched already are looked at. It is quick,
and what it takes early it never puts right.

Nested groups are matched with the units that they stand under (`family.py`), by the same greedy
choice on inner products in place of cosines, as a family has no single length of a unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.matching.result import MatchResult, StopReason
from engine.symmetry import Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

METHOD = "cosine"

ALIKE = 1e-6
"""Cosines that differ by less are equal, and units then stay in their places."""


def match_cosines(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> MatchResult:
    """Return the permutation of b that greedy matching by cosines finds in one pass.

    Args:
        program: the model, for the names of its running statistics.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        seed: kept in the result; nothing is drawn.
        progress: called with the number of groups matched and of all.
        should_stop: asked before each group; the rest then stay as they are.
        device: where the products run.

    Raises:
        MatchingError: the models do not fit.
        NonFiniteError: a model holds NaN or infinite values.
    """
    began = time.perf_counter()
    with torch.inference_mode():
        problem = Problem(symmetry, a, b, exclude=program.statistics_names, device=device)
        perms = problem.identity()
        trace = [problem.objective(perms)]
        left, matched = list(problem.blocks), set[str]()
        reason = StopReason.ONE_PASS if left else StopReason.NO_SYMMETRY
        while (block := _first_known(problem, left, matched)) is not None:
            if should_stop is not None and should_stop():
                reason = StopReason.CANCELLED
                break
            perms |= _matched(problem, block, perms, matched)
            matched.update(problem.blocks[block])
            left.remove(block)
            if progress is not None:
                progress(len(problem.blocks) - len(left), len(problem.blocks))
        trace.append(problem.objective(perms))
    return MatchResult(
        permutation=Permutation(perms, symmetry.within),
        objective=trace[-1],
        objective_identity=trace[0],
        trace=tuple(trace),
        sweeps=1,
        restarts=(trace[-1],),
        stop_reason=reason,
        seconds=time.perf_counter() - began,
        method=METHOD,
        seed=seed,
    )


def greedy_solver(cost: np.ndarray) -> np.ndarray:
    """Return p [n]: the largest entry's row and column are paired, then the largest of the rest.

    Of equal entries those on the diagonal come first.
    """
    n = len(cost)
    scale = float(np.abs(cost).max()) or 1.0
    rank = -np.rint(cost / (scale * ALIKE))
    order = np.lexsort((~np.eye(n, dtype=bool).ravel(), rank.ravel()))
    p = np.full(n, -1)
    free = np.ones(n, dtype=bool)
    for chunk in np.array_split(order, n):
        rows, columns = np.divmod(chunk, n)
        open_still = (p[rows] < 0) & free[columns]
        for i, j in zip(rows[open_still], columns[open_still], strict=True):
            if p[i] < 0 and free[j]:
                p[i], free[j] = j, False
    return p


def _first_known(problem: Problem, left: list[str], matched: set[str]) -> str | None:
    """Return the first block of which some weights have no other axes than matched ones."""
    for block in left:
        family = problem.families.get(block)
        sites = problem.sites[block] if family is None else family.sites
        if any(site.neighbours <= matched for site in sites):
            return block
    return None


def _matched(
    problem: Problem, block: str, perms: Mapping[str, Tensor], matched: set[str]
) -> dict[str, Tensor]:
    """Return the permutations of a block by what is known of it."""
    if block in problem.families:
        return problem.families[block].visit(perms, greedy_solver, matched)[1]
    known = [site for site in problem.sites[block] if site.neighbours <= matched]
    lengths = torch.stack([site.squares() for site in known]).sum(0).sqrt()
    scales = torch.where(lengths > 0, 1 / lengths, 0.0).to(problem.dtype)
    cost = problem.cost(block, perms, matched) * scales[0][:, None] * scales[1][None, :]
    return {block: lap.solve(cost, block, greedy_solver)}
