"""The barrier between two models, by each of the definitions in use.

With L(λ) the mean loss at (1 − λ)A + λB:
- Git Re-Basin (Ainsworth et al. 2022, Definition 2.2): max L(λ) − ½(L(0) + L(1));
- Entezari et al. (2021, Definition 1): max [L(λ) − ((1 − λ)L(0) + λL(1))];
- Frankle et al. (2020), instability: the first, for the error rate instead of the loss;
- Fort's raw midpoint: L(½).
The maximum is over the points given, ends included. A loss that is NaN anywhere makes the
barrier NaN: it is not known, which is not the same as high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import LandscapeError


@dataclass(frozen=True)
class Barrier:
    """Barriers of one line on one split; losses in nats.

    Attributes:
        git_rebasin: Git Re-Basin's barrier, at least ½|L(0) − L(1)|.
        git_rebasin_se: its standard error, taking the errors of the three losses for
            independent; they are measured on the same samples, which mostly makes it smaller.
        entezari: Entezari's barrier, at least 0.
        frankle: instability, a difference of error rates between 0 and 1.
        midpoint: L(½); NaN where ½ is none of the points.
        worst: λ of the largest loss, or of the first NaN.
    """

    git_rebasin: float
    git_rebasin_se: float
    entezari: float
    frankle: float
    midpoint: float
    worst: float


def barrier(
    lambdas: ArrayLike, losses: ArrayLike, loss_se: ArrayLike, accuracies: ArrayLike
) -> Barrier:
    """Return the barrier of a line by every definition.

    Args:
        lambdas: ascending from 0 to 1, shape [n].
        losses: mean loss at each, [n].
        loss_se: its standard error, [n].
        accuracies: share of samples classified correctly, [n].

    Raises:
        LandscapeError: the arrays differ in length, or λ does not ascend from 0 to 1.
    """
    lam, loss, se, accuracy = (
        np.asarray(values, dtype=np.float64) for values in (lambdas, losses, loss_se, accuracies)
    )
    if lam.ndim != 1 or not lam.shape == loss.shape == se.shape == accuracy.shape:
        raise LandscapeError(
            f"A barrier needs one loss, standard error and accuracy per λ; the shapes are "
            f"{lam.shape}, {loss.shape}, {se.shape} and {accuracy.shape}."
        )
    if len(lam) < 2 or lam[0] != 0 or lam[-1] != 1 or (np.diff(lam) <= 0).any():
        raise LandscapeError("λ must ascend from 0, the first model, to 1, the second.")
    top = int(np.argmax(loss))  # the first NaN counts as largest
    middle = np.flatnonzero(lam == 0.5)
    error = 1 - accuracy
    with np.errstate(invalid="ignore"):
        return Barrier(
            git_rebasin=float(loss[top] - (loss[0] + loss[-1]) / 2),
            git_rebasin_se=_standard_error(se, top),
            entezari=float(np.max(loss - ((1 - lam) * loss[0] + lam * loss[-1]))),
            frankle=float(np.max(error) - (error[0] + error[-1]) / 2),
            midpoint=float(loss[middle[0]]) if len(middle) else float("nan"),
            worst=float(lam[top]),
        )


def _standard_error(se: np.ndarray, top: int) -> float:
    """Return the standard error of L(top) − ½(L(0) + L(1)) for independent errors."""
    weights = np.zeros(len(se))
    weights[[0, -1]] = -0.5
    weights[top] += 1
    used = weights != 0
    return float(np.sqrt(np.sum((weights[used] * se[used]) ** 2)))
