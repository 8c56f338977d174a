"""Put back what was moved for nothing: units that are as good in their own place.

A method that does not start at the identity may order dead units, duplicates and zero weights
in any way, at no gain. Here every group that stands alone goes from the identity to what was
found, cycle by cycle, and only cycles that gain beyond rounding are taken.
"""

from __future__ import annotations

from torch import Tensor

from engine.matching import lap
from engine.matching.problem import Problem
from engine.symmetry import Perms


def settled(problem: Problem, perms: Perms) -> dict[str, Tensor]:
    """Return permutations of the same objective with as many units in their places.

    Groups whose own permutation changes their cost, and nested ones, are left as they are.

    Args:
        problem: what was matched.
        perms: the permutation of each group.
    """
    found = dict(perms)
    identity = problem.identity()
    for group in problem.sites:
        if group in problem.neighbours[group]:
            continue
        a, b = problem.norms(group)
        start, goal = identity[group], found[group]
        slack = problem.epsilon * a * (b[start] + b[goal])
        found[group] = lap.improve(problem.cost(group, found), start, goal, slack)
    return found
