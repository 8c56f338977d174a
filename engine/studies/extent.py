"""The part of a plane that is drawn, checked before anything is computed."""

from __future__ import annotations

import math

from engine.errors import SpecError


def check_extent(extent: tuple[float, ...] | None) -> None:
    """Raise SpecError unless an extent is None or four finite numbers that leave an area."""
    if extent is None:
        return
    if len(extent) != 4:
        raise SpecError(f"extent takes four numbers, U0,U1,V0,V1, not {len(extent)}")
    u0, u1, v0, v1 = extent
    if not (all(math.isfinite(end) for end in extent) and u0 < u1 and v0 < v1):
        raise SpecError(
            f"extent {tuple(extent)} is no rectangle: give U0,U1,V0,V1 with U0 < U1 and V0 < V1"
        )
