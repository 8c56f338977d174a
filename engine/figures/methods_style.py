"""How methods and repairs are told apart in figures and tables: colour, mark and dash.

A method has a colour and a mark (none of the marks of A, B and π(B)); a set of repairs has a dash.
The line from A to B as they are is grey in every theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.figures.palette import Palette

NAIVE = "none"
PLAIN = "plain"

_LIGHT = ("#0b8f78", "#2563eb", "#b3372f", "#8a3ab9", "#a06a00", "#0b7fa5", "#c2277f", "#5f6b1e")
_DARK = ("#35d3b7", "#6ea0ff", "#ff8f85", "#cf94ff", "#f0b73d", "#54cdf2", "#ff86c8", "#c4d15c")
_MARKS = (
    ("diamond", "◆"),
    ("cross", "✚"),
    ("x", "✖"),
    ("star", "★"),
    ("hexagon", "⬢"),
    ("triangle-down", "▼"),
    ("bowtie", "⧓"),
    ("pentagon", "⬟"),
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn: its colour, its Plotly symbol and the same sign in text."""

    colour: str
    symbol: str
    sign: str


def method_styles(methods: Sequence[Mapping[str, Any]], colours: Palette) -> dict[str, MethodStyle]:
    """Return the style of every method of a summary, by its id."""
    hues = _DARK if colours.name == "dark" else _LIGHT
    styles, place = {}, 0
    for method in methods:
        if method["id"] == NAIVE:
            styles[NAIVE] = MethodStyle(colours.edges["orbit"], "line-ns", "–")
            continue
        symbol, sign = _MARKS[place % len(_MARKS)]
        styles[method["id"]] = MethodStyle(hues[place % len(hues)], symbol, sign)
        place += 1
    return styles


def dashes(variants: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the dash of every set of repairs, by its id; without repair it is solid."""
    return {variant["id"]: _DASHES[place % len(_DASHES)] for place, variant in enumerate(variants)}
