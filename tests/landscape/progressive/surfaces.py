"""Known surfaces on a grid, in the place of networks: what a refinement may ask of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.landscape.progressive import FULL, QUANTITIES, Estimate, Known, estimate, next_round

SIDE = 25


def grid(rows: int = SIDE, columns: int = SIDE) -> np.ndarray:
    """Return the places of a grid over [−.5, 1.5]², [rows · columns, 2]."""
    u, v = np.linspace(-0.5, 1.5, columns), np.linspace(-0.5, 1.5, rows)
    return np.stack([axis.reshape(-1) for axis in np.meshgrid(u, v)], axis=1)


def values(loss: np.ndarray) -> dict[str, np.ndarray]:
    """Return all quantities of losses; only the loss means something."""
    return {
        "loss": loss,
        "loss_se": loss / 50,
        "accuracy": np.exp(-loss),
        "accuracy_se": np.zeros(len(loss)),
    }


def two_basins(places: np.ndarray) -> np.ndarray:
    """A smooth landscape: two basins and walls of several nats, as of real networks."""
    u, v = places.T
    wall = 0.15 + 2.5 * np.exp(-8 * (u - 0.5) ** 2 - 4 * (v - 0.1) ** 2) + 1.5 * (u**2 + v**2) ** 2
    return wall + 0.4 * (np.sin(3 * u) * np.cos(2 * v)) ** 2


def ridge(places: np.ndarray) -> np.ndarray:
    """A landscape with a kink, on which interpolation is worse than elsewhere."""
    u, v = places.T
    return 0.3 + np.abs(u + 0.5 * v - 0.7) + 0.2 * u**2


def refined(
    true: np.ndarray,
    sample: np.ndarray | None,
    *,
    shape: tuple[int, int] = (SIDE, SIDE),
    cost: float = 0.1,
    stop: Callable[[Known, Estimate], bool],
) -> tuple[Known, Estimate]:
    """Refine known losses until `stop` says so, or all is evaluated."""
    known, found = Known.nothing(grid(*shape)), None
    while True:
        wanted = next_round(known, found, shape, None if sample is None else cost)
        if wanted is None:
            assert found is not None
            return known, found
        source = true if wanted.kind == FULL or sample is None else sample
        part = {name: values(source)[name][wanted.index] for name in QUANTITIES}
        known = known.with_values(wanted.kind, wanted.index, part)
        found = estimate(known)
        if stop(known, found):
            return known, found
