"""A start for networks with residual streams: from what is known to what is not.

From the identity, the cost of a residual stream is a sum over all layers that read or write it,
nearly all of them still in the wrong order: in a wide transformer their noise drowns the few
parameters that say which unit is which. Here every block is placed by those of its parameters
alone whose other axes are fixed or placed already, the block that most entries per unit speak
for first. A network that was permuted at random is put back by this alone, whatever its width,
as far as its parameters differ from unit to unit. Blocks for which nothing speaks stay as
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.symmetry import Perms


def anchored_start(
    problem: Problem,
    *,
    solver: lap.Solver = lap.scipy_solver,
    should_stop: Callable[[], bool] | None = None,
) -> Perms:
    """Return permutations placed block by block, those not reached at the identity.

    Args:
        problem: what is matched.
        solver: solves the assignment problems.
        should_stop: asked before each block; the rest then stay at the identity.
    """
    perms = problem.identity()
    for _, _, found in placements(problem, solver, should_stop):
        perms |= found
    return perms


def placements(
    problem: Problem,
    solver: lap.Solver = lap.scipy_solver,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[str, frozenset[str], dict[str, Tensor]]]:
    """Yield block after block, the groups that were known then, and where they put its units.

    Args:
        problem: what is matched.
        solver: solves the assignment problems.
        should_stop: asked before each block; no further one then follows.
    """
    perms = problem.identity()
    evidence = {block: _evidence(problem, block) for block in problem.blocks}
    placed: frozenset[str] = frozenset()
    while evidence and not (should_stop is not None and should_stop()):
        speaks = {
            block: sum(entries for near, entries in found if near <= placed)
            for block, found in evidence.items()
        }
        block = max(speaks, key=speaks.__getitem__)
        if not speaks[block]:
            break
        found = _placed(problem, block, perms, placed, solver)
        yield block, placed, found
        perms |= found
        placed = placed.union(problem.blocks[block])
        del evidence[block]


def _evidence(problem: Problem, block: str) -> list[tuple[frozenset[str], float]]:
    """Return for each site of a block the groups it needs to know, and its entries per unit.

    A parameter that is the same for all units (scales of one, biases of zero) says nothing.
    """
    if block in problem.families:
        family = problem.families[block]
        units = sum(family.copies * size for size in family.sizes.values())
        return [(site.neighbours, sum(map(_telling, site.a)) / units) for site in family.sites]
    size = problem.sizes[block]
    return [(site.neighbours, _telling(site.a) / size) for site in problem.sites[block]]


def _telling(tensor: Tensor) -> int:
    """Return the number of entries, 0 where all are the same."""
    return tensor.numel() if bool(tensor.amax() > tensor.amin()) else 0


def _placed(
    problem: Problem, block: str, perms: Perms, known: frozenset[str], solver: lap.Solver
) -> dict[str, Tensor]:
    """Return the permutations of a block by the sites that need only what is known."""
    if block in problem.families:
        return problem.families[block].visit(perms, solver, known)[1]
    cost = problem.cost(block, perms, known)
    proposed, current = lap.solve(cost, block, solver), perms[block]
    a, b = problem.norms(block)
    tolerance = problem.epsilon * a * (b[current] + b[proposed])
    return {block: lap.improve(cost, current, proposed, tolerance)}
