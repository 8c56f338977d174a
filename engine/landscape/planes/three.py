"""The plane through any three checkpoints A, B and C, as they are.

The same geometry as that of A, B and π(B) (`engine.landscape.plane`): origin A, first axis along
B − A, second along the part of C − A orthogonal to it, both in units of ‖B − A‖; running
statistics are combined like weights. All three lie on the plane. Where they lie on one line, a
random direction stands in for the second axis; one and the same model three times spans nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.grid import Extent, square_around
from engine.landscape.plane import Plane, make_plane
from engine.landscape.planes.laid import LaidPlane

NAMES = ("A", "B", "C")
MARGIN = 0.5


def three_plane(
    models: Sequence[Mapping[str, Tensor]],
    *,
    names: Sequence[str],
    resolution: int,
    extent: Extent | None = None,
    seed: int = 0,
) -> LaidPlane:
    """Return the plane through three models.

    Args:
        models: A, B and C, with the same tensors.
        names: the tensors that count in the geometry (`geometry_names`).
        resolution: points per axis.
        extent: in units of ‖B − A‖; None takes the square around the three, half a side wider.
        seed: of the random direction of a degenerate plane.

    Raises:
        LandscapeError: there are not three, they are one and the same or hold NaN, or differ in
            tensors.
    """
    if len(models) != 3:
        raise LandscapeError(f"A plane of this kind goes through 3 models, not {len(models)}.")
    drawn = make_plane(*models, resolution=resolution, names=names, seed=seed)
    if float(drawn.corners[:, 0].min()) == 1:
        raise LandscapeError(
            "A, B and C are the same model, and no plane goes through a single point; choose other "
            "checkpoints, or a random plane around this one."
        )
    positions = dict(zip(NAMES, drawn.positions.values(), strict=True))
    extent = extent or square_around(list(positions.values()), MARGIN)
    drawn = make_plane(*models, resolution=resolution, extent=extent, names=names, seed=seed)
    distances = {key.replace("pi_b", "C"): value for key, value in drawn.distances.items()}
    plane = Plane(
        **{
            **vars(drawn),
            "positions": positions,
            "distances": distances,
            "degenerate": _sentence(drawn),
        }
    )
    return LaidPlane(
        plane=plane,
        on_plane=dict(zip(NAMES, models, strict=True)),
        off_plane={},
        extent=extent,
        axes=("along B − A", "towards C"),
        unit="‖B − A‖" if float(drawn.corners[1, 0]) != 1 else "‖C − A‖",
    )


def _sentence(plane: Plane) -> str | None:
    """Return the three models' degenerate position in their own names."""
    if plane.degenerate is None:
        return None
    share = plane.corners[:, 1].tolist()
    why = "A, B and C lie on one line"
    if share[1] == 0:
        why = "A and B are the same model; the horizontal axis goes from A to C"
    elif share[2] == 0:
        why = "C is A itself"
    elif share[2] == 1:
        why = "C is B itself"
    return f"{why}, so the three span no plane; the vertical axis is a random direction."
