"""A start where b is a permuted copy of a, or of what a was before some fine-tuning.

There the anchored start puts every unit back at once: each block's own assignment is exact as
far as its weights tell its units apart, while coordinate descent from the identity may end in a
local optimum (in groups of a few units it mostly does). Networks that were trained apart are no
copies, which the first blocks show: for them nothing is gained and next to no time spent.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.matching import lap
from engine.matching.anchored import placements
from engine.matching.problem import Problem
from engine.symmetry import Perms

NEAR = 0.5
"""A copy leaves less than this share of the squared distance of weights that have nothing in
common. Of two MNIST networks trained apart, 73 % of it is left in the first layer."""


def copy_start(problem: Problem, should_stop: Callable[[], bool] | None = None) -> Perms | None:
    """Return the permutations that put a permuted copy back, None where b is none.

    Args:
        problem: what is matched, without nested groups.
        should_stop: asked before each block; there is no start then.
    """
    perms = problem.identity()
    for block, known, found in placements(problem, should_stop=should_stop):
        if not _near(problem, block, known, perms | found):
            return None
        perms |= found
    return None if should_stop is not None and should_stop() else perms


def _near(problem: Problem, block: str, known: frozenset[str], perms: Perms) -> bool:
    """Tell whether the known sites of a block are nearly the same in a and in what b became."""
    squares = sum(
        float(site.squares().sum())
        for site in problem.sites[block]
        if site.neighbours.issubset(known)
    )
    reached = lap.assigned(problem.cost(block, perms, known), perms[block])
    return squares - 2 * reached < NEAR * squares
