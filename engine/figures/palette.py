"""Colours, marker shapes and fonts of every figure, for a light and a dark page.

Blue, vermilion and green keep apart for the common forms of colour blindness (they are near
to Okabe and Ito's, 2008), and each model also has its own marker shape and label, each edge
its own dash, so that nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["light", "dark"]

FONT = '"Source Sans", "Source Sans Pro", "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
COLORSCALE = "Viridis"


@dataclass(frozen=True)
class Marker:
    """How one model is drawn: its Plotly symbol in 2D and 3D and its label."""

    symbol: str
    symbol_3d: str
    label: str
    size: int


MARKERS: Mapping[str, Marker] = {
    "A": Marker("circle", "circle", "A", 16),
    "B": Marker("square", "square", "B", 15),
    "pi_b": Marker("triangle-up", "diamond", "π(B)", 18),
    "bend": Marker("diamond-tall", "cross", "bend", 17),
    "C": Marker("triangle-up", "diamond", "C", 18),
    "model": Marker("circle", "circle", "θ", 16),
    "start": Marker("square", "square", "start", 13),
    "end": Marker("circle", "circle", "end", 16),
}


@dataclass(frozen=True)
class Palette:
    """All colours of one theme; `models` and `edges` are keyed as in a result's summary."""

    name: ThemeName
    text: str
    muted: str
    grid: str
    paper: str
    plot: str
    halo: str
    diverged: str
    hatch: str
    models: Mapping[str, str]
    edges: Mapping[str, str]
    fills: Mapping[str, str]


LIGHT = Palette(
    name="light",
    text="#1f2430",
    muted="#5f667d",
    grid="#e4e7ef",
    paper="#ffffff",
    plot="#f3f4f8",
    halo="#1b1233",
    diverged="#c9ccd6",
    hatch="#6c7184",
    models={
        **{"A": "#2563eb", "B": "#e0532a", "pi_b": "#0f9d84", "C": "#0f9d84"},
        **{"model": "#2563eb", "start": "#e0532a", "bend": "#b5179e", "end": "#2563eb"},
    },
    edges={"naive": "#d9481f", "rebasin": "#0b8f78", "orbit": "#737a94", "curve": "#b5179e"},
    fills={
        "naive": "rgba(224,83,42,.12)",
        "rebasin": "rgba(15,157,132,.14)",
        "orbit": "rgba(115,122,148,.12)",
        "curve": "rgba(181,23,158,.13)",
    },
)

DARK = Palette(
    name="dark",
    text="#eceef5",
    muted="#a3aac2",
    grid="#2e3446",
    paper="#12151f",
    plot="#1b2030",
    halo="#0b0716",
    diverged="#3a4054",
    hatch="#9aa1b8",
    models={
        **{"A": "#5b93ff", "B": "#ff7b52", "pi_b": "#2fd0b3", "C": "#2fd0b3"},
        **{"model": "#5b93ff", "start": "#ff7b52", "bend": "#ff77d4", "end": "#5b93ff"},
    },
    edges={"naive": "#ff8159", "rebasin": "#35d3b7", "orbit": "#a9b0c8", "curve": "#ff77d4"},
    fills={
        "naive": "rgba(255,129,89,.16)",
        "rebasin": "rgba(53,211,183,.16)",
        "orbit": "rgba(169,176,200,.14)",
        "curve": "rgba(255,119,212,.16)",
    },
)


def palette(theme: str | None) -> Palette:
    """Return the palette of a theme's name; anything but "dark" is light."""
    return DARK if theme == "dark" else LIGHT
