"""The kinds of values that fields of a spec take, and what each allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Samples = Annotated[int, Field(strict=True, ge=1)]
# Adding 0.0 turns -0.0, which compares equal but is written differently, into 0.0.
Real = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: value + 0.0)]
# A plane this large shows nothing more, and differences of its ends stay finite.
Place = Annotated[Real, Field(ge=-1e6, le=1e6)]


def _freeze(options: Mapping[str, Any]) -> Mapping[str, Any]:
    frozen = {}
    for name, value in options.items():
        parts = value if isinstance(value, list | tuple) else (value,)
        for part in parts:
            finite = not isinstance(part, float) or math.isfinite(part)
            small = not isinstance(part, int) or abs(part) < 2**63
            if not finite or not small or not isinstance(part, bool | int | str | float):
                raise ValueError(f"{name} must be a number, a text, true, false or a list of them")
        frozen[name] = tuple(parts) if isinstance(value, list | tuple) else value
    return MappingProxyType(frozen)


def odd(points: int) -> int:
    """Return a number of points if it is odd."""
    if points % 2 == 0:
        raise ValueError(
            f"an odd number is needed, so that the midpoint is a point; try {points + 1}"
        )
    return points


def side(points: int) -> int:
    """Return the points of an axis if there may be so few."""
    if 0 < points < 3:
        raise ValueError("Input should be 0 (no plane) or from 3 to 257")
    return points


def check_rectangle(extent: tuple[float, float, float, float]) -> None:
    """Raise ValueError where an extent leaves no area."""
    u0, u1, v0, v1 = extent
    if u0 >= u1 or v0 >= v1:
        raise ValueError(f"extent {extent} is empty; allowed: u0 < u1 and v0 < v1")


def power_of_two(points: int) -> int:
    """Return a number of points if it is a power of two."""
    if points & (points - 1):
        raise ValueError(f"a power of two is needed, such as {1 << points.bit_length() - 1}")
    return points


Options = Annotated[Mapping[str, Any], AfterValidator(_freeze), PlainSerializer(dict)]
PowerOfTwo = Annotated[int, Field(strict=True, ge=64, le=4096), AfterValidator(power_of_two)]
