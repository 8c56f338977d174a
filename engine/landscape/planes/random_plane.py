"""Two random directions around a model, as in Li et al. (2018), "Visualizing the Loss Landscape of
Neural Nets" (arXiv 1712.09913), section 4.

Each direction is Gaussian, and each of its filters (rows of a tensor's first axis) is scaled to the
norm of the model's own filter. Tensors of one dimension (biases, norm scales and shifts) do not
move by default, as in the paper's figures. The two directions are not made orthogonal, as there:
in many dimensions they nearly are, and the angle is stated. A unit along either axis is as long
as the moved part of the model. `layer` and `model` scale each tensor, or all at once, instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.errors import LandscapeError
from engine.landscape.direction import SCALINGS, Scaling, length_of, random_direction
from engine.landscape.grid import Extent
from engine.landscape.planes.laid import LaidPlane, plane_along

NAME = "model"
EXTENT: Extent = (-1.0, 1.0, -1.0, 1.0)


def random_plane(
    model: Mapping[str, Tensor],
    *,
    names: Sequence[str],
    resolution: int,
    extent: Extent | None = None,
    seed: int = 0,
    scaling: Scaling = "filter",
    vectors: bool = False,
) -> LaidPlane:
    """Return a plane along two random directions around a model.

    Args:
        model: the origin.
        names: its trained parameters (`moved_names`).
        resolution: points per axis.
        extent: in units of the directions' length; None is −1 to 1.
        seed: of both directions.
        scaling: what gets the model's own norm: "filter", "layer" or "model".
        vectors: move tensors of fewer than two dimensions as well.

    Raises:
        LandscapeError: an unknown scaling, no tensor to move, or weights that are all zero or
            not finite.
    """
    if scaling not in SCALINGS:
        raise LandscapeError(f"There is no scaling {scaling!r}; there are {', '.join(SCALINGS)}.")
    chosen = [name for name in names if vectors or model[name].ndim > 1]
    if not chosen:
        raise LandscapeError(
            "This model has no tensor of two or more dimensions, so there is no filter to disturb; "
            "ask for biases and norms to move as well."
        )
    draws = torch.Generator().manual_seed(seed)
    first, second = (random_direction(model, chosen, draws, scaling) for _ in range(2))
    still = [name for name in names if name not in chosen]
    plane = plane_along(
        model,
        first,
        second,
        names=names,
        unit=length_of(first),
        resolution=resolution,
        extent=extent or EXTENT,
        positions={NAME: (0.0, 0.0)},
    )
    return LaidPlane(
        plane=plane,
        on_plane={NAME: model},
        off_plane={},
        extent=extent or EXTENT,
        axes=("first random direction", "second random direction"),
        unit="the directions' length",
        facts={
            "scaling": scaling,
            "moved": len(chosen),
            "still": len(still),
            "moved_parameters": sum(model[name].numel() for name in chosen),
            "still_parameters": sum(model[name].numel() for name in still),
        },
    )
