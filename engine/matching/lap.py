"""The linear assignment problem: which unit of b goes to which unit of a.

`solve` is the one place where a solver is chosen; `Solver` is the seam for others. Costs in
float32 go to lapx's Jonker–Volgenant (1987), which computes in float32; what it may miss is
within that rounding, and `improve` believes in no gain so small. It begins with each column's
best row: with each row's best entry set to zero, which changes no assignment's rank, that settles
most rows. All other costs, and all where lapx is not installed, go to SciPy's shortest augmenting
paths (Crouse 2016), exact in float64. Both let other threads run.

Where many rows want the same columns (little tells the units apart: a cost of low rank), both
search long. There columns are first given prices near the dual solution, which changes no
assignment's rank either: those of the same problem with an entropy term (Sinkhorn's scalings at a
low temperature). However rough they are, the solution stays as exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from engine.errors import MatchingError

try:
    from lap import lapjvs
except ImportError:  # a machine that has torch and SciPy alone
    lapjvs = None

Solver = Callable[[np.ndarray], np.ndarray]  # [n, n] -> p [n] with maximal Σ C[i, p[i]]

LARGEST = 1e30
"""Sums of many entries as large as this are still finite in float32."""

CROWDED, HOPELESS = 1 / 2, 1 / 32
"""Shares of the columns that are some row's best. Below the first prices save lapx more time than
they take; below the second SciPy, with prices, is faster (ranks 1 and 2). Both measured."""

PRICED_FROM = 256
"""From so many units on, prices save SciPy more time than they take."""

SOFTNESS, SCALINGS = 0.1, 8
"""The entropy's temperature in standard deviations of the cost, and rounds: both measured."""


def fastest(cost: np.ndarray) -> np.ndarray:
    """Return the p that maximises Σ cost[i, p[i]].

    Where every row's largest entry is in a column of its own there is nothing to weigh up; so
    it is wherever b is a permuted copy of a, and late in a descent.
    """
    largest = cost.argmax(axis=1)
    wanted = len(np.unique(largest)) / len(largest)
    if wanted == 1:
        return largest
    bounded = cost.min() > -LARGEST and cost.max() < LARGEST
    if lapjvs is not None and cost.dtype == np.float32 and bounded and wanted > HOPELESS:
        worth = cost - prices(cost) if wanted < CROWDED else cost
        return lapjvs(worth.max(axis=1, keepdims=True) - worth, return_cost=False)[1]
    if len(cost) < PRICED_FROM:
        return linear_sum_assignment(cost, maximize=True)[1]
    return linear_sum_assignment(prices(cost)[None, :] - cost)[1]


def prices(cost: np.ndarray) -> np.ndarray:
    """Return what each column is worth, about: a price near the dual solution, [n] as the cost."""
    with np.errstate(all="ignore"):  # what is too large for this is solved without prices
        working = cost.astype(np.float32, copy=False)
        scale = SOFTNESS * float(working.std(dtype=np.float64))
    if not 1 / LARGEST < scale < LARGEST:
        return np.zeros(len(cost), dtype=cost.dtype)
    likely = working - working.max(1, keepdims=True)
    likely /= scale
    np.exp(likely, out=likely)
    columns = np.ones(len(cost), dtype=np.float32)
    for _ in range(SCALINGS):
        rows = 1 / np.maximum(likely @ columns, 1 / LARGEST)
        columns = 1 / np.maximum(rows @ likely, 1 / LARGEST)
    return (-scale * np.log(columns.astype(np.float64))).astype(cost.dtype)


def solve(cost: Tensor, group: str, solver: Solver = fastest) -> Tensor:
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
