"""A start for networks that were trained apart: from what is known to what is not.

From the identity, the cost of a group is a sum over all layers that read or write it, nearly all
of them still in the wrong order: in a wide transformer their noise drowns the few parameters
that say which unit is which, and in every network it decides the first sweep. Here every block
is placed by those of its parameters alone whose other axes are fixed or placed already. First
comes the block with most such entries for each unit and each place that the unit may take. A
network that was permuted at random is put back by this alone, whatever its width, as far as its
parameters differ from unit to unit. Blocks for which nothing speaks stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from engine.matching.problem import Problem
from engine.matching.visit import Visit
from engine.symmetry import Perms


def anchored_start(
    problem: Problem,
    visit: Visit | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Perms:
    """Return permutations placed block by block, those not reached at the identity.

    Args:
        problem: what is matched.
        visit: visits its blocks; what it keeps serves a later descent.
        should_stop: asked before each block; the rest then stay at the identity.
    """
    visit = Visit(problem) if visit is None else visit
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
        perms |= visit.end(block, perms, visit.begin(block, perms, placed), placed)[1]
        placed = placed.union(problem.blocks[block])
        del evidence[block]
    return perms


def _evidence(problem: Problem, block: str) -> list[tuple[frozenset[str], float]]:
    """Return for each site of a block the groups it needs, and its entries per unit and place.

    A parameter whose entries are all the same (scales of one, biases of zero) says nothing.
    """
    if block in problem.families:
        family = problem.families[block]
        units = sum(family.copies * size for size in family.sizes.values())
        return [(site.neighbours, sum(map(_telling, site.a)) / units**2) for site in family.sites]
    size = problem.sizes[block]
    return [(site.neighbours, _telling(site.a) / size**2) for site in problem.sites[block]]


def _telling(tensor: Tensor) -> int:
    """Return the number of entries, 0 where all are the same."""
    flat = tensor.flatten()
    differs = bool(flat[0] != flat[-1]) or bool((flat != flat[0]).any())
    return tensor.numel() if differs else 0
