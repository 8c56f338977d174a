"""The linear assignment problem: which unit of b goes to which unit of a.

`solve` is the one place where a solver is chosen; `Solver` is the seam for others. The
default is SciPy's shortest augmenting paths (Crouse 2016), exact in float64. What is added to a
whole column changes no assignment's rank, so large problems are first given column prices near
the dual solution: most paths then end at their first step, and SciPy takes less than half the
time. The prices are those of the same problem with an entropy term (Sinkhorn's scalings at a low
temperature), and however rough they are, the solution stays exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from engine.errors import MatchingError

Solver = Callable[[np.ndarray], np.ndarray]  # [n, n] -> p [n] with maximal Σ C[i, p[i]]


PRICED_FROM = 256
"""From so many units on, prices save more time than they take."""

SOFTNESS, SCALINGS = 0.1, 8
"""The entropy's temperature in standard deviations of the cost, and rounds: both measured."""

LARGEST_SCALE = 1e30


def scipy_solver(cost: np.ndarray) -> np.ndarray:
    """Return the p that maximises Σ cost[i, p[i]].

    Where every row's largest entry is in a column of its own there is nothing to weigh up; so
    it is wherever b is a permuted copy of a, and late in a descent.
    """
    largest = cost.argmax(axis=1)
    if len(np.unique(largest)) == len(largest):
        return largest
    if len(cost) < PRICED_FROM:
        return linear_sum_assignment(cost, maximize=True)[1]
    return linear_sum_assignment(prices(cost)[None, :] - cost)[1]


def prices(cost: np.ndarray) -> np.ndarray:
    """Return what each column is worth, about: a price near the dual solution, float64 [n]."""
    with np.errstate(all="ignore"):  # what is too large for this is solved without prices
        working = cost.astype(np.float32, copy=False)
        scale = SOFTNESS * float(working.std(dtype=np.float64))
    if not 1 / LARGEST_SCALE < scale < LARGEST_SCALE:
        return np.zeros(len(cost))
    likely = working - working.max(1, keepdims=True)
    likely /= scale
    np.exp(likely, out=likely)
    columns = np.ones(len(cost), dtype=np.float32)
    for _ in range(SCALINGS):
        rows = 1 / np.maximum(likely @ columns, 1 / LARGEST_SCALE)
        columns = 1 / np.maximum(rows @ likely, 1 / LARGEST_SCALE)
    return -scale * np.log(columns.astype(np.float64))


def solve(cost: Tensor, group: str, solver: Solver = scipy_solver) -> Tensor:
    """Return the permutation p that maximises Σ C[i, p[i]].

    Args:
        cost: [n, n], any device.
        group: the group's name, for the message.
        solver: what solves it.

    Returns:
        int64 [n] on the cost's device.

    Raises:
        MatchingError: the cost is not finite.
    """
    return torch.from_numpy(solver(finite_matrix(cost, group))).to(cost.device)


def finite_matrix(cost: Tensor, group: str) -> np.ndarray:
    """Return a cost as an array, which shares its memory where it is on the CPU.

    Raises:
        MatchingError: the cost is not finite.
    """
    matrix = cost.detach().cpu().numpy()
    if not np.isfinite(matrix).all():
        raise MatchingError(
            f"the matching cost of {group} is not finite: its weights are too large to be "
            "multiplied in this precision; bring both models in float64"
        )
    return matrix


def improve(cost: Tensor, current: Tensor, proposed: Tensor, tolerance: Tensor) -> Tensor:
    """Return `current` changed only where the proposal gains more than the tolerance.

    Going from one assignment to another moves units around cycles, and each cycle has a gain
    of its own. Cycles without gain (ties: dead units, duplicates, zero weights) are left as
    they are, so that equal units stay in their places.

    Args:
        cost: [n, n].
        current: int64 [n].
        proposed: int64 [n].
        tolerance: float64 [n]; a cycle's gain must exceed the sum over its moved units.

    Returns:
        int64 [n]; `current` itself when nothing gains.
    """
    moved = (current != proposed).nonzero().flatten()
    if not len(moved):
        return current
    gain = (cost[moved, proposed[moved]].double() - cost[moved, current[moved]].double()).cpu()
    rows = torch.empty_like(current)
    rows[current] = torch.arange(len(current), device=current.device)
    position = torch.full_like(current, -1)
    position[moved] = torch.arange(len(moved), device=current.device)
    successor = position[rows[proposed[moved]]].cpu().numpy()
    cycle = cycle_labels(successor)
    surplus = (gain - tolerance[moved].cpu()).numpy()
    gains = np.bincount(cycle, weights=surplus, minlength=len(cycle))
    kept = moved[torch.from_numpy(gains[cycle] > 0).to(moved.device)]
    if not len(kept):
        return current
    improved = current.clone()
    improved[kept] = proposed[kept]
    return improved


def cycle_labels(successor: np.ndarray) -> np.ndarray:
    """Return for each element of a permutation the smallest element of its cycle.

    Pointers jump twice as far each round, so that ⌈log2 n⌉ rounds see every cycle whole.
    """
    labels = np.arange(len(successor))
    for _ in range(len(successor).bit_length()):
        labels = np.minimum(labels, labels[successor])
        successor = successor[successor]
    return labels


def assigned(cost: Tensor, p: Tensor) -> float:
    """Return Σ C[i, p[i]], summed in float64."""
    return float(cost.gather(1, p[:, None]).sum(dtype=torch.float64))
