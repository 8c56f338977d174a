"""What every kind of plane ends with: a grid, the models on and near it, and what was found.

A plane is spanned by an origin and the end points of its two axes, three models of a Span; its
points are affine combinations of these. Models that lie on the plane are evaluated as corners
and must equal themselves; of all others the distance from the plane is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.direction import displaced, length_of, random_direction
from engine.landscape.geometry import gram
from engine.landscape.grid import Extent, grid_axes
from engine.landscape.plane import Plane
from engine.landscape.span import Span
from engine.program import Program

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class LaidPlane:
    """A plane of any kind.

    Attributes:
        plane: the grid and its geometry; `positions` are of the models by name, on the plane
            or projected onto it.
        on_plane: the models that lie on it, by name, in the order of `plane.corners`.
        off_plane: distance of each other named model from the plane, in true units.
        extent: (u from, u to, v from, v to) in units of `plane.u_norm`.
        axes: what the two axes are, in words.
        unit: what the unit of both axes is, in words.
        facts: what else the kind has to say; JSON values.
    """

    plane: Plane
    on_plane: Mapping[str, Tensors]
    off_plane: Mapping[str, float]
    extent: Extent
    axes: tuple[str, str]
    unit: str
    facts: Mapping[str, object] = field(default_factory=dict)


def moved_names(program: Program) -> tuple[str, ...]:
    """Return the trained parameters: what directions move. Tied weights are there once."""
    return tuple(name for name, spec in program.parameters.items() if spec.trainable)


def plane_along(
    origin: Tensors,
    first: Tensors,
    second: Tensors | None,
    *,
    names: Sequence[str],
    unit: float,
    resolution: int,
    extent: Extent,
    positions: Mapping[str, tuple[float, float]],
    corners: int = 1,
    distances: Mapping[str, float] | None = None,
    seed: int = 0,
    degenerate: str | None = None,
) -> Plane:
    """Return the grid through a model along two directions, both taken to one length.

    What the directions do not name (running statistics, say) stays as it is in the origin.

    Args:
        origin: the model at (0, 0).
        first, second: directions by name; the second may be None, and a random one orthogonal
            to the first then stands in for it, as `degenerate` must say.
        names: the tensors that count in the geometry.
        unit: Euclidean length of both axes' units.
        resolution: points per axis.
        extent: of the grid, in that unit.
        positions: (u, v) of the named models.
        corners: how many of these are the origin itself.
        distances: between named models.
        seed: of the random direction that stands in.
        degenerate: why there is no second direction.

    Raises:
        LandscapeError: a direction is zero or not finite, or the grid is none.
    """
    u, v = grid_axes(resolution, extent)
    along = displaced(origin, _finite(first), None, unit)
    if second is None:
        drawn = random_direction(origin, names, torch.Generator().manual_seed(seed))
        across = displaced(origin, drawn, along, unit)
    else:
        across = displaced(origin, _finite(second), None, unit)
    products = gram([origin, along, across], names)
    cosine = float(products[0, 1]) / float(products[0, 0] * products[1, 1]) ** 0.5
    vv, uu = torch.meshgrid(torch.from_numpy(v), torch.from_numpy(u), indexing="ij")
    second_, third = uu.reshape(-1), vv.reshape(-1)
    return Plane(
        span=Span(("origin", "first axis", "second axis"), (origin, along, across)),
        coefficients=torch.stack((1 - second_ - third, second_, third), dim=1),
        corners=torch.tensor([[1.0, 0.0, 0.0]] * corners, dtype=torch.float64),
        u=u,
        v=v,
        positions=positions,
        u_norm=unit,
        v_norm=0.0 if second is None else unit,
        distances=distances or {},
        angle_degrees=float(
            torch.tensor(cosine, dtype=torch.float64).clamp(-1, 1).acos().rad2deg()
        ),
        orthonormality=abs(cosine),
        degenerate=degenerate,
    )


def _finite(direction: Tensors) -> Tensors:
    length = length_of(direction)
    if not 0 < length < float("inf"):
        raise LandscapeError(
            "A direction of the plane is zero or not finite: the model holds NaN, infinite or only "
            "zero weights; check the checkpoint."
        )
    return direction
