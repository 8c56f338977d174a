"""What an unfinished path has so far: its lines, curves and planes, put together from tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.runs.path_spec import PathSpec
from engine.runs.tiles import DiskTiles, fits

QUANTITIES = ("loss", "loss_se", "accuracy", "accuracy_se")


def path_arrays(
    tiles: DiskTiles, keys: tuple[str, ...], spec: PathSpec, summary: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return arrays as in the result, with NaN where nothing is known yet.

    Args:
        tiles, keys: of the run.
        spec: what was asked.
        summary: what is known of it; a plane appears once it says where its borders are.
    """
    sizes = {"plane": spec.plane_points**2, "line": spec.points, "path": spec.points}
    flat: dict[str, np.ndarray] = {}
    for key in keys:
        kind, _, rest = key.partition("-")
        end, _, rest = rest.partition("-")
        split = rest.partition("-")[0]
        if kind not in sizes or end not in spec.ends or split not in ("train", "test"):
            continue
        found, size = tiles.get(key), sizes[kind]
        if found is None or not fits(found.get("index"), size):
            continue
        index = found["index"]
        for name in QUANTITIES:
            values = found.get(name)
            if values is not None and values.shape == index.shape and values.dtype.kind == "f":
                target = flat.setdefault(f"{kind}_{end}_{split}_{name}", np.full(size, np.nan))
                target[index] = values
        if kind == "plane":
            flat.setdefault(f"plane_{end}_done", np.zeros(size, dtype=bool))[index] = True
    return _shaped(flat, spec, summary)


def _shaped(
    flat: Mapping[str, np.ndarray], spec: PathSpec, summary: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    arrays = {name: values for name, values in flat.items() if not name.startswith("plane")}
    if arrays:
        arrays["t"] = np.linspace(0.0, 1.0, spec.points)
    side = spec.plane_points
    for end in spec.ends:
        plane = ((summary.get("paths") or {}).get(end) or {}).get("plane") or {}
        own = {name: v for name, v in flat.items() if name.startswith(f"plane_{end}_")}
        if own and plane.get("extent"):
            u0, u1, v0, v1 = plane["extent"]
            arrays |= {name: values.reshape(side, side) for name, values in own.items()}
            arrays[f"plane_{end}_u"] = np.linspace(u0, u1, side)
            arrays[f"plane_{end}_v"] = np.linspace(v0, v1, side)
    return arrays
