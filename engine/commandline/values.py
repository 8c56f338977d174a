"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch

from engine.errors import SpecError

MOST_LINE_POINTS, MOST_PLANE_POINTS = 1001, 257
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


def pairs(texts: Sequence[str]) -> dict[str, object]:
    """Return NAME=VALUE texts as a mapping; values that are written as JSON are read as such.

    So heads=4 is a number, pools=[1,3] a list and activation=gelu a text.

    Raises:
        SpecError: a text has no equals sign.
    """
    result: dict[str, object] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise SpecError(f"--option takes NAME=VALUE, not '{text}'")
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


def plane_points(text: str) -> int:
    """Return 0 for no plane, or a number of 2 or more."""
    value = int(text)
    if value != 0 and not 2 <= value <= MOST_PLANE_POINTS:
        raise argparse.ArgumentTypeError(f"must be 0 (no plane) or from 2 to {MOST_PLANE_POINTS}")
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
