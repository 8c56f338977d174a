"""What `compare` takes and says of its plane: how fine, in full, as a preview, or scattered."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from engine.commandline import values
from engine.errors import SpecError
from engine.studies.plane_options import ACCURACY, SOBOL_POINTS


def add_plane_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the plane's options."""
    parser.add_argument(
        "--plane",
        type=values.plane_points,
        default=(25, None),
        metavar="POINTS",
        help="points per axis, or along u and v such as 21x20; 0 for none (default 25)",
    )
    parser.add_argument(
        "--preview",
        type=values.accuracy,
        nargs="?",
        const=ACCURACY,
        metavar="ACCURACY",
        help="evaluate as few points as this median relative error takes (default 1%%)",
    )
    parser.add_argument(
        "--plane-seconds",
        type=values.seconds,
        metavar="SECONDS",
        help="end the preview after this time in any case",
    )
    parser.add_argument(
        "--sobol",
        type=values.power_of_two,
        nargs="?",
        const=SOBOL_POINTS,
        metavar="POINTS",
        help="evaluate scrambled Sobol points instead of a grid (default 2048)",
    )


def plane_choices(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `CompareOptions` that say which plane is wanted.

    Raises:
        SpecError: options exclude each other.
    """
    columns, rows = options.plane
    preview = options.preview is not None or options.plane_seconds is not None
    if preview and options.sobol is not None:
        raise SpecError("--sobol evaluates all of its points; leave --preview and its time out.")
    chosen: dict[str, Any] = {"plane_points": columns, "plane_rows": rows}
    if options.sobol is not None:
        return chosen | {"plane_mode": "sobol", "plane_sobol": options.sobol}
    if preview:
        accuracy = ACCURACY if options.preview is None else options.preview
        stops = {"plane_accuracy": accuracy, "plane_seconds": options.plane_seconds}
        return chosen | {"plane_mode": "progressive", **stops}
    return chosen


def plane_sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what the user should know of a plane that was not evaluated at every point."""
    estimate = (summary["plane"] or {}).get("estimate")
    if not estimate:
        return []
    note = (summary["basins"] or {}).get("note")
    return [estimate["stop_sentence"], *([note] if note else [])]
