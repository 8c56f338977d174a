"""A figure as PNG, drawn by a local Chrome or Chromium through kaleido; needs no network.

The browser is searched once; `BROWSER_PATH` names one explicitly. A machine without any browser
gets a sentence instead of a traceback: the stand-alone HTML needs none and saves PNGs by itself.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import plotly.graph_objects as go

from engine.errors import BasinscopeError
from engine.figures.palette import palette

SCALE = 2  # twice the pixels: sharp on a slide
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_BROWSER = (
    "A PNG needs Chrome or Chromium on the machine that runs Basinscope, and none was found: "
    "install one or set BROWSER_PATH to its program. The stand-alone HTML has PNG buttons that "
    "work in your own browser."
)


class PngError(BasinscopeError):
    """A figure cannot be drawn as PNG here; the text says what to do."""


def find_browser() -> str | None:
    """Return the path of a Chrome or Chromium, `BROWSER_PATH` first; None where there is none."""
    named = os.environ.get("BROWSER_PATH")
    if named:
        return named if Path(named).is_file() else None
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def png_bytes(
    figure: go.Figure, *, theme: str = "light", width: int = 900, height: int | None = None
) -> bytes:
    """Return a figure as PNG on the theme's ground.

    Args:
        figure: left as it is.
        theme: "light" or "dark": the ground's colour.
        width, height: in CSS pixels, drawn at twice that; height None keeps the figure's own.

    Raises:
        PngError: no browser is found, or it fails.
    """
    browser = find_browser()
    if browser is None:
        raise PngError(NO_BROWSER)
    colours = palette(theme)
    copy = go.Figure(figure)
    copy.update_layout(paper_bgcolor=colours.paper, margin={"l": 16, "r": 16, "t": 40, "b": 16})
    tall = height or int(copy.layout.height or 600)
    try:
        return _draw(copy, browser, width, tall)
    except Exception as error:  # kaleido raises many kinds, all of them meaning the same here
        raise PngError(f"The browser {browser} could not draw the PNG: {error}") from error


def _draw(figure: go.Figure, browser: str, width: int, height: int) -> bytes:
    """Draw with kaleido in `browser`."""
    import kaleido

    options = {"format": "png", "width": width, "height": height, "scale": SCALE}
    return kaleido.calc_fig_sync(figure, opts=options, kopts={"path": browser, "mathjax": False})
