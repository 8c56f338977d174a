"""The Download tab: networks, permutation, arrays, and the figures as HTML and PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import (
    curves_figure,
    find_browser,
    layers_figure,
    matching_figure,
    plane_figure,
    png_bytes,
    standalone_html,
    surface_figure,
)
from engine.figures.png import NO_BROWSER
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.look import theme

FILES = (
    ("pi_b.safetensors", "π(B), the permuted network", "application/octet-stream"),
    ("midpoint.safetensors", "The midpoint of A and π(B)", "application/octet-stream"),
    ("permutation.safetensors", "The permutation", "application/octet-stream"),
    ("result.npz", "All numbers (result.npz)", "application/octet-stream"),
)


def show_downloads(run_id: str, found: Result) -> None:
    """Draw the buttons; files are read and figures drawn only when one is pressed."""
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.markdown("**Networks and numbers**")
        for name, title, mime in FILES:
            _file_button(run_id, name, title, mime)
    look = _look()
    with middle:
        st.markdown("**One page with everything**")
        _button(
            "Stand-alone HTML",
            "basinscope.html",
            lambda: standalone_html(
                found.arrays, found.summary, found.provenance, run_id=run_id, **look
            ).encode(),
            "text/html",
        )
        st.caption("Every figure and table, no network needed; saves PNGs by itself.")
    with right:
        st.markdown("**Figures as PNG**")
        _pictures(found, look)


def _pictures(found: Result, look: dict) -> None:
    """One PNG button per figure, disabled with the reason where no browser can draw."""
    shade = {"theme": look["theme"]}
    drawers: dict[str, tuple[str, Callable[[], go.Figure]]] = {
        "plane": ("Plane", lambda: plane_figure(found.arrays, found.summary, **look)),
        "surface": ("Surface", lambda: surface_figure(found.arrays, found.summary, **look)),
        "curves": ("Curves", lambda: curves_figure(found.arrays, found.summary, **shade)),
        "layers": ("Layers", lambda: layers_figure(found.summary, **shade)),
        "matching": ("Matching", lambda: matching_figure(found.summary, **shade)),
    }
    missing = find_browser() is None
    if missing:
        st.caption(NO_BROWSER)
    for name, (title, draw) in drawers.items():
        _button(
            title,
            f"basinscope-{name}.png",
            lambda draw=draw: png_bytes(draw(), theme=look["theme"]),
            "image/png",
            disabled=missing,
        )


def _file_button(run_id: str, name: str, title: str, mime: str) -> None:
    """A button for one of the run's files, disabled with the reason where it is not there."""
    try:
        path: Path | None = access.store().file(run_id, name)
        why = None
    except BasinscopeError as error:
        path, why = None, str(error)
    data = path.read_bytes if path is not None else bytes
    _button(title, name, data, mime, disabled=path is None, why=why)


def _button(
    title: str,
    file_name: str,
    data: Callable[[], bytes],
    mime: str,
    *,
    disabled: bool = False,
    why: str | None = None,
) -> None:
    st.download_button(
        title,
        data=data,
        file_name=file_name,
        mime=mime,
        key=f"download_{file_name}",
        on_click="ignore",
        disabled=disabled,
        help=why,
        width="stretch",
    )


def _look() -> dict:
    """Return the theme and colour scale that the plane is seen with now."""
    state = st.session_state
    cap = state.get(keys.CAP)
    return {
        "theme": theme(),
        "log": state.get(keys.SCALE) != "linear",
        "cap": None if cap in (None, "auto") else float(cap),
    }
