"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch

from engine.errors import SpecError

MOST_LINE_POINTS, MOST_PLANE_POINTS, MOST_SOBOL = 1001, 257, 4096
"""As in a run's spec: more show nothing more and take days."""


def add_family_options(parser: argparse.ArgumentParser) -> None:
    """Add `--option NAME=VALUE`: what a state dict does not show."""
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a choice the tensors do not show, such as activation=gelu",
    )


def pairs(texts: Sequence[str], flag: str = "--option") -> dict[str, object]:
    """Return NAME=VALUE texts as a mapping; values that are written as JSON are read as such.

    So heads=4 is a number, pools=[1,3] a list and activation=gelu a text.

    Raises:
        SpecError: a text has no equals sign.
    """
    result: dict[str, object] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise SpecError(f"{flag} takes NAME=VALUE, not '{text}'")
        result[name] = _value(value)
    return result


def _value(text: str) -> object:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float | list) else text


def positive(text: str) -> int:
    """Return a whole number of at least 1 (an argparse type)."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def side(text: str) -> int:
    """Return the points per axis of a square plane (an argparse type)."""
    value = int(text)
    if not 2 <= value <= MOST_PLANE_POINTS:
        raise argparse.ArgumentTypeError(f"must be from 2 to {MOST_PLANE_POINTS}")
    return value


def seed(text: str) -> int:
    """Return a whole number of at least 0 (an argparse type)."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError("must be between 0 and 2^63 - 1")
    return value


def samples(text: str) -> int | None:
    """Return a number of samples, None for "all" (an argparse type)."""
    return None if text == "all" else positive(text)


def line_points(text: str) -> int:
    """Return an odd number of 3 or more, so that the midpoint is evaluated."""
    value = int(text)
    if not 3 <= value <= MOST_LINE_POINTS or value % 2 == 0:
        raise argparse.ArgumentTypeError(f"must be odd and from 3 to {MOST_LINE_POINTS}")
    return value


def plane_points(text: str) -> tuple[int, int | None]:
    """Return points along u, and along v where these differ: 0 for no plane, 33, or 21x20."""
    columns, sign, rows = text.lower().replace("×", "x").partition("x")
    across, along = int(columns), int(rows) if sign else None
    fits = all(2 <= value <= MOST_PLANE_POINTS for value in (across, along or across))
    if not fits and (across != 0 or sign):
        raise argparse.ArgumentTypeError(
            f"must be 0 (no plane) or from 2 to {MOST_PLANE_POINTS}, or two such as 21x20"
        )
    return across, None if along == across else along


def accuracy(text: str) -> float:
    """Return a relative error from 0 to 1; "1%" is .01 (an argparse type)."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1, or from 0% to 100%")
    return value


def seconds(text: str) -> float:
    """Return a time above 0 (an argparse type)."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def power_of_two(text: str) -> int:
    """Return a power of two from 64 to 4096 (an argparse type)."""
    value = int(text)
    if not 64 <= value <= MOST_SOBOL or value & (value - 1):
        raise argparse.ArgumentTypeError(f"must be a power of two from 64 to {MOST_SOBOL}")
    return value


def numbers(text: str) -> tuple[float, ...]:
    """Return comma-separated numbers, such as a mean per channel."""
    return tuple(float(part) for part in text.split(","))


def device(text: str) -> str:
    """Return the name of a device that is there (an argparse type)."""
    try:
        found = torch.device(text)
    except RuntimeError:
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError("must be cpu, cuda or cuda:0")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise argparse.ArgumentTypeError(f"there is no device {text} on this machine; take cpu")
    return text
