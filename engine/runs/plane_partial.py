"""What the finished tiles of a plane of another kind show before the run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.runs.plane_spec import PlaneSpec
from engine.runs.tiles import DiskTiles, fits

QUANTITIES = ("loss", "loss_se", "accuracy", "accuracy_se")


def plane_arrays(
    tiles: DiskTiles, keys: tuple[str, ...], spec: PlaneSpec, summary: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the plane as far as it is known, NaN elsewhere, with `plane_done`.

    Args:
        tiles, keys: the finished ones.
        spec: of the run.
        summary: what is known of it; the plane's extent is among it before the first tile.
    """
    extent = (summary.get("plane") or {}).get("extent")
    known = [tile for key in keys if key.startswith("plane-") and (tile := tiles.get(key))]
    fitting = [tile for tile in known if fits(tile.get("index"), spec.resolution**2)]
    if not fitting or not isinstance(extent, list) or len(extent) != 4:
        return {}
    side = spec.resolution
    done = np.zeros(side**2, dtype=bool)
    flat: dict[str, np.ndarray] = {}
    for tile in fitting:
        index = tile["index"]
        done[index] = True
        for name in QUANTITIES:
            values = tile.get(name)
            if values is not None and values.shape == index.shape and values.dtype.kind == "f":
                flat.setdefault(name, np.full(side**2, np.nan))[index] = values
    arrays = {f"plane_{spec.split}_{n}": values.reshape(side, side) for n, values in flat.items()}
    u0, u1, v0, v1 = (float(value) for value in extent)
    return arrays | {
        "plane_done": done.reshape(side, side),
        "plane_u": np.linspace(u0, u1, side),
        "plane_v": np.linspace(v0, v1, side),
    }
