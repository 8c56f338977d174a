"""A small picture of a plane that needs no Plotly: shown until the interactive figure is there.

A browser needs seconds to fetch, compile and draw Plotly, but shows an SVG at once. The bands
are those of `plane_figure` on a bilinear grid; axes, hover, hatching and basins are left to it.
"""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
import plotly.colors
from PIL import Image

from engine.figures.diverged import seen_to_diverge
from engine.figures.geometry import (
    Arrays,
    Summary,
    edges,
    label_side,
    labels,
    positions,
    trajectory,
)
from engine.figures.palette import COLORSCALE, FONT, MARKERS, Palette, palette
from engine.figures.refine import filled
from engine.figures.scale import LEVELS, LossScale, loss_scale

PIXELS = 260
MARKER = 13
OFFSETS = {
    "top center": (0, -20, "middle"),
    "bottom left": (-14, 26, "end"),
    "bottom right": (14, 26, "start"),
}
DIVERGED_INDEX = LEVELS


def plane_preview(
    arrays: Arrays,
    summary: Summary,
    *,
    theme: str = "light",
    log: bool = True,
    cap: float | None = None,
) -> str | None:
    """Return an SVG of the plane as a `data:` address, None where there is no plane.

    Args:
        arrays, summary, theme, log, cap: as for `plane_figure`.
    """
    split = (summary.get("plane") or {}).get("split", "test")
    loss = arrays.get(f"plane_{split}_loss")
    if loss is None:
        return None
    colours = palette(theme)
    u, v = (np.asarray(arrays[f"plane_{axis}"], dtype=np.float64) for axis in "uv")
    scale = loss_scale(loss, log=log, cap=cap)
    done = np.asarray(arrays.get("plane_done", np.ones(loss.shape, dtype=bool)))
    bands = _bands(filled(scale.value(loss), done, u, v), u, v, scale)
    unit = 600 / (u[-1] - u[0])
    width, height = 600.0, unit * (v[-1] - v[0])
    points = {
        name: ((x - u[0]) * unit, (v[-1] - y) * unit) for name, (x, y) in positions(summary).items()
    }
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="{escape(FONT, quote=True)}" font-size="17" font-weight="700">'
        f'<image href="data:image/png;base64,{_png(bands, colours)}" width="{width:.0f}" '
        f'height="{height:.0f}" preserveAspectRatio="none"/>'
        f"{_crosses(arrays, split, unit, colours)}"
        f"{_edges(points, summary, colours)}{_way(summary, u, v, unit)}"
        f"{_models(points, summary, colours)}</svg>"
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _bands(values: np.ndarray, u: np.ndarray, v: np.ndarray, scale: LossScale) -> np.ndarray:
    """Return the band of each pixel, uint8 [height, PIXELS], first row on top."""
    tall = max(2, round(PIXELS * (v[-1] - v[0]) / (u[-1] - u[0])))
    across, up = np.linspace(u[0], u[-1], PIXELS), np.linspace(v[-1], v[0], tall)
    wide = np.stack([np.interp(across, u, row) for row in values])
    fine = np.stack([np.interp(up, v, column) for column in wide.T], axis=1)
    low, high = scale.bounds
    place = np.clip((fine - low) / (high - low), 0, 1)
    bands = np.minimum(np.nan_to_num(place) * LEVELS, LEVELS - 1)
    return np.where(np.isfinite(place), bands, DIVERGED_INDEX).astype(np.uint8)


def _png(bands: np.ndarray, colours: Palette) -> str:
    """Return the bands in their colours as a PNG, base64."""
    places = [(k + 0.5) / LEVELS for k in range(LEVELS)]
    rgb = np.asarray(plotly.colors.sample_colorscale(COLORSCALE, places, colortype="tuple"))
    flat = np.rint(255 * rgb).astype(int).flatten().tolist()
    image = Image.fromarray(bands, mode="L")
    image.putpalette([*flat, *plotly.colors.hex_to_rgb(colours.diverged)])
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _crosses(arrays: Arrays, split: str, unit: float, colours: Palette) -> str:
    """Return a cross at every point that was seen to diverge, as the interactive plane has it."""
    u, v = np.asarray(arrays["plane_u"]), np.asarray(arrays["plane_v"])
    at = [
        ((u[k] - u[0]) * unit, (v[-1] - v[j]) * unit)
        for j, k in np.argwhere(seen_to_diverge(arrays, split))
    ]
    strokes = "".join(f"M{x - 3:.1f},{y - 3:.1f}l6,6m0,-6l-6,6" for x, y in at)
    return f'<path d="{strokes}" stroke="{colours.hatch}" fill="none"/>' if strokes else ""


def _way(summary: Summary, u: np.ndarray, v: np.ndarray, unit: float) -> str:
    """Return a training's way over the plane; nothing where there is none."""
    places = " ".join(
        f"{(x - u[0]) * unit:.1f},{(v[-1] - y) * unit:.1f}" for x, y in trajectory(summary)
    )
    line = f'<polyline points="{places}" fill="none" stroke="#ffffff" stroke-width="2.5"/>'
    return line if places else ""


def _edges(points: dict[str, tuple[float, float]], summary: Summary, colours: Palette) -> str:
    lines = []
    for edge in edges(summary):
        if edge.start not in points or edge.end not in points:
            continue
        (x1, y1), (x2, y2) = points[edge.start], points[edge.end]
        orbit = edge.curve == "orbit"
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        dash = ' stroke-dasharray="3 5"' if orbit else ""
        colour = "#c3c8d6" if orbit else colours.edges[edge.curve]
        casing = "#14102873" if orbit else "#ffffff8c"
        lines.append(f'<line {ends} stroke="{casing}" stroke-width="{5 if orbit else 6}"{dash}/>')
        lines.append(f'<line {ends} stroke="{colour}" stroke-width="{3 if orbit else 4}"{dash}/>')
    return "".join(lines)


def _models(points: dict[str, tuple[float, float]], summary: Summary, colours: Palette) -> str:
    plane = positions(summary)
    texts = labels(plane)
    parts = []
    for name, (x, y) in points.items():
        look = f'fill="{colours.models[name]}" stroke="#ffffff" stroke-width="2"'
        parts.append(_shape(MARKERS[name].symbol, x, y, look))
        dx, dy, anchor = OFFSETS[label_side(name, plane)]
        parts.append(
            f'<text x="{x + dx:.1f}" y="{y + dy:.1f}" text-anchor="{anchor}" fill="#ffffff" '
            f'stroke="{colours.halo}" stroke-width="3" paint-order="stroke">{texts[name]}</text>'
        )
    return "".join(parts)


def _shape(symbol: str, x: float, y: float, look: str) -> str:
    half = MARKER / 2 + 2
    if symbol == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{half:.1f}" {look}/>'
    if symbol == "square":
        side = 2 * half
        corner = f'x="{x - half:.1f}" y="{y - half:.1f}"'
        return f'<rect {corner} width="{side:.1f}" height="{side:.1f}" {look}/>'
    top, low, wide = y - 1.15 * half, y + 0.75 * half, 1.1 * half
    return (
        f'<path d="M{x:.1f},{top:.1f}L{x + wide:.1f},{low:.1f}L{x - wide:.1f},{low:.1f}Z" {look}/>'
    )
