"""A smooth surface through scattered values, with an estimate of its error everywhere.

Interpolation by the radial function r³ plus a plane (a polyharmonic spline). It is at the same
time the best linear prediction (kriging) of a random surface with the generalised covariance r³,
which tells in closed form how far each value is from its prediction by all others (Rippa 1999)
and how far a prediction between them may be off, up to one scale. That scale is taken locally,
from the leave-one-out errors of the nearest values; a surface smoother than r³ is therefore
better than its estimate says. Where it is known beforehand how uncertain the values are, relative
to each other (of a sample it is), that counts as further leave-one-out errors: eight alone may
be small by chance.

What it does not handle: values that are not finite (leave them out), and more than a few thousand
of them, since the system is dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEAR = 8
"""How many leave-one-out errors make up a local scale."""

BELIEF = 4
"""As many leave-one-out errors what is known beforehand counts as."""

FLATTEST = 1e-6
"""Ratio of a cloud's small to its large extent under which no plane is fitted to it."""


BLOCK = 4096
"""Places at a time, so that memory stays bounded."""


@dataclass(frozen=True)
class Nodes:
    """The places of some values: what all surfaces through them have in common.

    Attributes:
        scaled: the places, float64 [n, 2], by `centre` and `unit`.
        system, inverse: of the interpolation, float64 [n + 3, n + 3].
    """

    scaled: np.ndarray
    system: np.ndarray
    inverse: np.ndarray
    centre: np.ndarray
    unit: float

    @staticmethod
    def at(points: np.ndarray) -> Nodes:
        """Return the nodes at some points.

        Args:
            points: distinct and `spans_a_plane`, [n, 2].
        """
        centre, unit = points.mean(0), float(np.ptp(points, axis=0).max())
        scaled = (points - centre) / unit
        count = len(scaled)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _radial(scaled, scaled)
        system[:count, count:] = _affine(scaled)
        system[count:, :count] = system[:count, count:].T
        return Nodes(scaled, system, np.linalg.inv(system), centre, unit)

    def rows(self, places: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (which places, their rows of the system, [m, n + 3]) until all are there."""
        for start in range(0, len(places), BLOCK):
            scaled = (places[start : start + BLOCK] - self.centre) / self.unit
            rows = np.concatenate([_radial(scaled, self.scaled), _affine(scaled)], axis=1)
            yield slice(start, start + BLOCK), rows


@dataclass(frozen=True)
class Expected:
    """How uncertain values are, known beforehand up to one factor.

    Attributes:
        at_nodes: standard errors of the surface's values, [n].
        at: of values at the places that are asked, [m].
    """

    at_nodes: np.ndarray
    at: np.ndarray


@dataclass(frozen=True)
class Surface:
    """A smooth surface through values at nodes.

    Attributes:
        nodes: where the values are.
        weights: of the n radial functions, then of 1, x and y, float64 [n + 3].
    """

    nodes: Nodes
    weights: np.ndarray

    @staticmethod
    def through(nodes: Nodes, values: np.ndarray) -> Surface:
        """Return the surface through some values.

        Args:
            values: finite, [n].
        """
        wanted = np.concatenate([values, np.zeros(3)])
        weights = nodes.inverse @ wanted
        weights += nodes.inverse @ (wanted - nodes.system @ weights)
        return Surface(nodes, weights)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the surface at some places, [m, 2] → [m]."""
        return np.concatenate([rows @ self.weights for _, rows in self.nodes.rows(places)])

    def left_out(self) -> np.ndarray:
        """Return by how much each value is missed by the surface through all others, [n]."""
        count = len(self.nodes.scaled)
        return self.weights[:count] / np.diagonal(self.nodes.inverse)[:count]

    def error(self, places: np.ndarray, expected: Expected | None = None) -> np.ndarray:
        """Return the estimated standard error at some places, [m, 2] → [m]; 0 at the values.

        Args:
            places: where.
            expected: what is known of the errors beforehand, at these places; None for nothing.
        """
        inverse, count = self.nodes.inverse, len(self.nodes.scaled)
        squares = self.left_out() ** 2 * np.abs(np.diagonal(inverse)[:count])
        near = min(NEAR, count)
        found = np.empty(len(places))
        for which, rows in self.nodes.rows(places):
            # r³ grows with the distance, so the rows also say which nodes are near.
            nearest = np.argpartition(rows[:, :count], near - 1, axis=1)[:, :near]
            local = np.mean(squares[nearest], axis=1)
            if expected is not None:
                believed = _factor(squares, expected.at_nodes) * expected.at[which] ** 2
                local = (near * local + BELIEF * believed) / (near + BELIEF)
            spread = np.abs(((rows @ inverse) * rows).sum(1))
            found[which] = np.where(rows[:, :count].min(1) == 0, 0.0, np.sqrt(local * spread))
        return found


def _factor(squares: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean of squares in units of the squared errors that were expected."""
    known = expected > 0
    return float(np.mean(squares[known] / expected[known] ** 2)) if known.any() else 0.0


def spans_a_plane(points: np.ndarray) -> bool:
    """Say whether points are more than a few on one line."""
    if len(points) < 4:
        return False
    extents = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return bool(extents[1] > FLATTEST * extents[0])


def _radial(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    square = ((one[:, None] - other) ** 2).sum(-1)
    return square * np.sqrt(square)


def _affine(points: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(points), 1)), points], axis=1)
