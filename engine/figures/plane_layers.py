"""What of a plane is coloured: the loss, or how far off it may be, each with its own scale.

Three errors are told apart. The standard error over samples is that of any mean over a drawn set
of data. A plane that is not evaluated at every point has two more, relative to the loss: that of
the interpolation between evaluated points, and that of points evaluated on a part of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays
from engine.figures.palette import COLORSCALE, Palette
from engine.figures.scale import LossScale, loss_scale

ERRORS = "Cividis"
ESTIMATED, SAMPLED, FULL = 0, 1, 2
EVALUATED = "evaluated on all samples"
PARTLY = "evaluated on a part of the samples"
MARKS = (("●", EVALUATED), ("○", PARTLY))


@dataclass(frozen=True)
class Layer:
    """One layer of a plane.

    Attributes:
        key: how a page and an address name it.
        title: on a button.
        array: of a result, after `plane_<split>_`.
        bar: beside the colour bar, after the split.
        percent: whether the array is a share, to be drawn in per cent.
        colours: Plotly's name of the colour scale.
    """

    key: str
    title: str
    array: str
    bar: str
    percent: bool = False
    colours: str = ERRORS


@dataclass(frozen=True)
class Look:
    """How a plane is drawn: colours, colour scale, which split's, and what of it."""

    colours: Palette
    scale: LossScale
    split: str
    layer: Layer

    @property
    def title(self) -> str:
        """What is coloured, in words."""
        return f"{self.split} {self.layer.bar}"


LOSS = Layer("loss", "loss", "loss", "loss", colours=COLORSCALE)
LAYERS = (
    LOSS,
    Layer("se", "± samples", "loss_se", "loss: standard error over samples"),
    Layer(
        "interpolation",
        "± interpolation",
        "error_interpolation",
        "loss: estimated error of the interpolation, %",
        percent=True,
    ),
    Layer(
        "part",
        "± part of the data",
        "error_sampling",
        "loss: estimated error of points on a part of the data, %",
        percent=True,
    ),
)


def layers(arrays: Arrays, split: str = "test") -> tuple[Layer, ...]:
    """Return the layers that a plane has: the loss, and every error that is not 0 everywhere."""
    return tuple(
        layer for layer in LAYERS if layer is LOSS or _says_something(arrays, layer, split)
    )


def layer_of(arrays: Arrays, key: str, split: str = "test") -> Layer:
    """Return the layer of that name; the loss where the plane has none such."""
    return next((layer for layer in layers(arrays, split) if layer.key == key), LOSS)


def layer_values(arrays: Arrays, layer: Layer, split: str) -> np.ndarray:
    """Return what a layer draws, float64 [V, U].

    An error without bound, where a neighbour diverged, is larger than every finite one.
    """
    values = np.asarray(arrays[f"plane_{split}_{layer.array}"], dtype=np.float64)
    if layer is LOSS:
        return values
    values = 100 * values if layer.percent else values
    finite = values[np.isfinite(values)]
    top = 10 * float(finite.max()) if finite.size and finite.max() > 0 else 100.0
    return np.where(np.isposinf(values), top, values)


def look_at(
    arrays: Arrays,
    colours: Palette,
    split: str,
    layer: Layer = LOSS,
    *,
    log: bool = True,
    cap: float | None = None,
) -> Look:
    """Return how a layer is drawn; `cap` is a loss and leaves the errors' scales alone."""
    values = layer_values(arrays, layer, split)
    return Look(
        colours, loss_scale(values, log=log, cap=cap if layer is LOSS else None), split, layer
    )


def add_evaluated(figure: go.Figure, arrays: Arrays) -> None:
    """Mark the points that were evaluated: filled on all samples, open on a part of them."""
    for kind, symbol, title in (
        (FULL, "circle", EVALUATED),
        (SAMPLED, "circle-open", PARTLY),
    ):
        x, y = _places(arrays, kind)
        if len(x):
            figure.add_scatter(
                x=x,
                y=y,
                mode="markers",
                marker={"symbol": symbol, "size": 4, "color": "#ffffff", "line": _RIM[kind]},
                name=title,
                hoverinfo="skip",
                showlegend=False,
            )


def marked(arrays: Arrays) -> bool:
    """Say whether a plane tells which of its points were evaluated, and not all of them were."""
    kinds = arrays.get("plane_evaluated")
    return kinds is not None and bool((np.asarray(kinds) < FULL).any())


_RIM = {FULL: {"width": 0.8, "color": "rgba(20,16,40,.8)"}, SAMPLED: {"width": 1}}


def _places(arrays: Arrays, kind: int) -> tuple[np.ndarray, np.ndarray]:
    if "scatter_u" in arrays:
        none = np.empty(0)
        both = np.asarray(arrays["scatter_u"]), np.asarray(arrays["scatter_v"])
        return both if kind == FULL else (none, none)
    rows, columns = np.nonzero(np.asarray(arrays["plane_evaluated"]) == kind)
    return np.asarray(arrays["plane_u"])[columns], np.asarray(arrays["plane_v"])[rows]


def _says_something(arrays: Arrays, layer: Layer, split: str) -> bool:
    values = arrays.get(f"plane_{split}_{layer.array}")
    return values is not None and bool((np.nan_to_num(np.asarray(values), posinf=1.0) > 0).any())
