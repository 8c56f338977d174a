"""Which points a plane that is not evaluated in full is made of, and in which rounds they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from engine.landscape import Plane
from engine.landscape.progressive import (
    FULL,
    Estimate,
    Known,
    Round,
    coefficients_at,
    next_round,
    sobol_points,
)
from engine.studies.options import CompareOptions

FIRST_SOBOL = 64
"""Sobol points of the first round; each further one doubles them."""

NextRound = Callable[[Known, Estimate | None], Round | None]


@dataclass(frozen=True)
class Design:
    """Points of a plane that come in rounds.

    Attributes:
        mode: of the plane, "progressive" or "sobol".
        places: (u, v), float64 [P, 2].
        coefficients: affine weights there, float64 [P, K].
        grid: the drawn grid's places, float64 [M, 2]; None where they are the places themselves.
        following: says which points come next.
    """

    mode: str
    places: np.ndarray
    coefficients: Tensor
    grid: np.ndarray | None
    following: NextRound


def design_of(plane: Plane, options: CompareOptions, sample_cost: float | None) -> Design:
    """Return the design that the options ask for.

    Args:
        sample_cost: of a point on the sample, as a share of one on all data; None without one.
    """
    grid = np.stack([axis.reshape(-1) for axis in np.meshgrid(plane.u, plane.v)], axis=1)
    if options.plane_mode == "sobol":
        places = sobol_points(options.plane_sobol, options.extent, options.seed)
        return Design("sobol", places, coefficients_at(plane, places), grid, _doubling)
    shape = (len(plane.v), len(plane.u))
    return Design(
        "progressive",
        grid,
        plane.coefficients,
        None,
        lambda known, found: next_round(known, found, shape, sample_cost),
    )


def _doubling(known: Known, found: Estimate | None) -> Round | None:
    """Return as many points again as there are."""
    done, total = int(known.has_full.sum()), len(known.places)
    if done == total:
        return None
    return Round(FULL, np.arange(done, min(max(2 * done, FIRST_SOBOL), total)))
