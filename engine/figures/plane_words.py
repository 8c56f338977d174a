"""What is said under a plane: how it was checked, how it was computed, how far off it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.figures.geometry import Summary
from engine.figures.html_parts import SLICE_NOTE
from engine.figures.numbers import is_number, power_of_ten

PAIRS = (("A|B", "‖B − A‖"), ("A|pi_b", "‖π(B) − A‖"), ("B|pi_b", "‖π(B) − B‖"))


def plane_notes(summary: Summary) -> list[str]:
    """Return what is said under a plane, a sentence or more each; empty where there is none."""
    plane = summary.get("plane") or {}
    if plane.get("degenerate"):
        return [plane["degenerate"]]
    rule = (summary.get("basins") or {}).get("threshold_rule")
    notes = [SLICE_NOTE, estimate_note(summary), precision_note(summary), geometry_note(plane)]
    notes.append(f"Basins: {rule}" if rule else "")
    return [note for note in notes if note]


def geometry_note(plane: Mapping[str, Any]) -> str:
    """Return the checks of a plane's basis and corners, and its lengths in true units."""
    if plane.get("orthonormality") is None:
        return ""
    measured = plane.get("measured") or {}
    off = plane["orthonormality"]
    if measured:
        off = max(off, measured["cosine"], *(abs(length - 1) for length in measured["lengths"]))
    corner = plane.get("corner_difference")
    corners = "exactly" if corner == 0 else f"to {power_of_ten(corner)}"
    text = f"Plane checks: basis orthonormal to {power_of_ten(off)}, corners equal their models "
    return f"{text}{corners}{_lengths(plane)}."


def estimate_note(summary: Summary) -> str:
    """Return why a plane stopped that is not evaluated at every point, and both its errors."""
    plane = summary.get("plane") or {}
    found = plane.get("estimate") or {}
    basins = (summary.get("basins") or {}).get("note") or ""
    return " ".join(part for part in (found.get("stop_sentence") or "", basins) if part)


def precision_note(summary: Summary) -> str:
    """Return what the chosen precision costs, as measured in the run; empty for exact runs."""
    precision = summary.get("precision") or {}
    said = (precision.get("sentence"), precision.get("warning"))
    return " ".join(part for part in said if part)


def _lengths(plane: Mapping[str, Any]) -> str:
    distances, angle = plane.get("distances") or {}, plane.get("angle_degrees")
    parts = [
        f"{title} = {distances[key]:.3g}" for key, title in PAIRS if is_number(distances.get(key))
    ]
    if is_number(angle):
        parts.append(f"angle at A {angle:.1f}°")
    return f"; {', '.join(parts)}" if parts else ""
