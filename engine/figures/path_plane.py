"""The plane of a curve's own bends: the plane as everywhere, with the curve on it.

Origin at A, first axis towards the end, second towards the bend furthest from their line, both in
units of the ends' distance. A curve of several bends is drawn as its orthogonal projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from engine.figures.geometry import Arrays, Summary
from engine.figures.palette import MARKERS, Palette, palette
from engine.figures.path import paths_of
from engine.figures.plane import plane_figure
from engine.figures.scale import suggested_cap
from engine.figures.style import empty_figure

CURVE, CONTROL, CASING = "curve", "control polygon", "casing of the curve"
TIMES_THE_TOP = 2.0
NO_PLANE = "No plane was asked for."


def path_plane_figure(
    arrays: Arrays,
    summary: Summary,
    end: str,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
    basins: bool = True,
) -> go.Figure:
    """Draw the plane of one curve.

    Args:
        arrays: `plane_<end>_u` [U], `plane_<end>_v` [V], `plane_<end>_test_loss` [V, U] and so on.
        summary: of the result, or of a partial one.
        end: key of the curve: "b" or "pi_b".
        theme, log, cap, basins: as for `plane_figure`.
    """
    colours = palette(theme)
    path = paths_of(summary).get(end) or {}
    plane = path.get("plane") or {}
    if "positions" not in plane or f"plane_{end}_test_loss" not in arrays:
        return empty_figure(str(plane.get("problem") or NO_PLANE), colours)
    figure = plane_figure(
        plane_arrays(arrays, end),
        plane_summary(summary, end),
        theme=theme,
        log=log,
        cap=usual_cap(arrays, end) if cap is None else cap,
        basins=basins,
    )
    _add_curve(figure, plane, summary, colours)
    figure.update_traces(textposition="top center", selector={"name": MARKERS["bend"].label})
    figure.update_traces(colorbar_x=1.02, selector={"type": "contour"})
    _name_axes(figure, path)
    return figure


def usual_cap(arrays: Arrays, end: str) -> float | None:
    """Return a cap somewhat over the straight line's top; None where its losses are not known.

    Bends leave the line by little, so the plane is a narrow one and its far side, where losses are
    thousands, would take all colours.
    """
    losses = np.asarray(arrays.get(f"line_{end}_test_loss", ()), dtype=np.float64)
    losses = losses[np.isfinite(losses)]
    return suggested_cap(TIMES_THE_TOP * losses) if losses.size else None


def plane_arrays(arrays: Arrays, end: str) -> dict[str, np.ndarray]:
    """Return the arrays of one curve's plane under the names of a comparison's."""
    start = f"plane_{end}_"
    return {
        f"plane_{name.removeprefix(start)}": values
        for name, values in arrays.items()
        if name.startswith(start)
    }


def plane_summary(summary: Summary, end: str) -> dict[str, Any]:
    """Return the plane, basins and ends of one curve as a comparison's summary has them."""
    path = paths_of(summary)[end]
    plane = path["plane"]
    models = path.get("models") or []
    ends: dict[str, Any] = {}
    if models:
        ends = {"a": models[0], end: models[-1], "bend": models[plane["through"]]}
    return {**summary, "plane": plane, "basins": path.get("basins"), "ends": ends}


def _add_curve(
    figure: go.Figure, plane: Mapping[str, Any], summary: Summary, colours: Palette
) -> None:
    """Add the curve and its control polygon under the markers, which stay on top."""
    drawn = np.asarray(plane["curve"])
    places = plane["positions"]
    bends = np.asarray(plane["bends"])
    last = next(places[name] for name in places if name not in ("A", "bend"))
    corners = np.concatenate([[places["A"]], bends, [last]])
    shape = (summary.get("training") or {}).get("shape")
    added: list[go.Scatter] = []
    if shape == "bezier":
        style = {"width": 1.4, "color": "rgba(255,255,255,.75)", "dash": "2px,4px"}
        added.append(_line(corners, style, CONTROL))
    added.append(_line(drawn, {"width": 6.5, "color": "rgba(255,255,255,.7)"}, CASING))
    added.append(_line(drawn, {"width": 4, "color": colours.edges["curve"]}, CURVE))
    added[-1].update(
        hoverinfo=None,
        text=[f"t = {t:.2f}" for t in np.linspace(0, 1, len(drawn))],
        hovertemplate="curve, %{text}<extra></extra>",
    )
    others = [bend for k, bend in enumerate(bends, start=1) if k != plane["through"]]
    if others:
        marker = MARKERS["bend"]
        added.append(
            go.Scatter(
                x=[bend[0] for bend in others],
                y=[bend[1] for bend in others],
                mode="markers",
                marker={
                    "symbol": f"{marker.symbol}-open",
                    "size": marker.size - 3,
                    "color": "#ffffff",
                    "line": {"width": 2},
                },
                name="projected bends",
                showlegend=False,
                hovertemplate="a bend, projected onto this plane<extra></extra>",
            )
        )
    labels = {marker.label for marker in MARKERS.values()}
    drawn_already: list[Any] = list(figure.data)
    below = [trace for trace in drawn_already if trace.name not in labels]
    above = [trace for trace in drawn_already if trace.name in labels]
    figure.data = ()
    figure.add_traces([*below, *added, *above])


def _line(points: np.ndarray, style: Mapping[str, Any], name: str) -> go.Scatter:
    return go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="lines",
        line=dict(style),
        name=name,
        showlegend=False,
        hoverinfo="skip",
    )


def _name_axes(figure: go.Figure, path: Mapping[str, Any]) -> None:
    end, plane = path["end"], path["plane"]
    several = len(path["bends"]) > 1
    towards = f"bend {plane['through']}" if several else "the bend"
    unit = f" = {plane['unit']:.3g}" if plane.get("unit") else ""
    figure.update_xaxes(title_text=f"along {end} − A, in units of ‖{end} − A‖{unit}")
    figure.update_yaxes(title_text=f"towards {towards}")
