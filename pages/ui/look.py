"""The page's theme and style sheet, and charts drawn in that theme."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from pages.ui.plot import plot

HEIGHT = 450  # of a figure that names none
STYLE = Path(__file__).resolve().parents[2] / "assets" / "style.css"


def theme() -> str:
    """Return "light" or "dark", as the browser shows the page now."""
    return "dark" if st.context.theme.type == "dark" else "light"


def use_style() -> None:
    """Add the style sheet to the page."""
    st.html(STYLE)


def chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure at full width and its own height."""
    plot(figure, key, alt, height=int(figure.layout.height or HEIGHT))


def square_chart(
    build: Callable[[], go.Figure],
    key: str,
    alt: str,
    preview: str | None = None,
    view: str | None = None,
) -> None:
    """Draw a figure that keeps its shape at every width (see assets/style.css).

    Args:
        build: makes the figure; called after the preview is on its way to the browser.
        key: the chart's own.
        alt: what it shows, for those who cannot see it.
        preview: address of a picture that stands in its place until Plotly has drawn.
        view: see `plot`.
    """
    with st.container(key=f"square_{key}"):
        if preview is not None:
            st.html(f'<img class="bs-preview" alt="" src="{preview}">')
        figure = build()
        figure.update_layout(height=None)
        plot(figure, key, alt, view=view)
