"""A comparison's `statistics`, written as its earlier field `reset` where that can say it.

So one question has one id, whichever of the two it was asked with.
"""

from __future__ import annotations

from typing import Any

ASKED = ("interpolate", "reset", "repair")


def settled(values: Any) -> Any:
    """Return a spec's fields with `statistics` in none but the way that is stored.

    Raises:
        ValueError: it is unknown, or contradicts `reset`.
    """
    if not isinstance(values, dict) or values.get("statistics") is None:
        return values
    asked, reset = values["statistics"], values.get("reset")
    if asked not in ASKED:
        raise ValueError(f"statistics {asked!r} is unknown; allowed: {', '.join(ASKED)}")
    if reset is not None and (asked == "repair" or reset != (asked == "reset")):
        raise ValueError(f"reset {reset} and statistics {asked} contradict one another")
    if asked == "repair":
        return values
    return {**values, "statistics": None, "reset": asked == "reset"}
