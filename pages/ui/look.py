"""The page's theme and style sheet, and charts drawn in that theme."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from engine.figures.style import CONFIG
from pages.ui import keys

HEAD_START = 0.7  # seconds
STYLE = Path(__file__).resolve().parents[2] / "assets" / "style.css"


def theme() -> str:
    """Return "light" or "dark", as the browser shows the page now."""
    return "dark" if st.context.theme.type == "dark" else "light"


def use_style() -> None:
    """Add the style sheet to the page."""
    st.html(STYLE)


def chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure at full width and its own height."""
    st.plotly_chart(figure, width="stretch", theme=None, key=key, config=CONFIG, alt=alt)


def square_chart(
    build: Callable[[], go.Figure], key: str, alt: str, preview: str | None = None
) -> None:
    """Draw a figure that keeps its shape at every width (see assets/style.css).

    Args:
        build: makes the figure; called after the preview is on its way to the browser.
        key: the chart's own.
        alt: what it shows, for those who cannot see it.
        preview: address of a picture that stands in its place until Plotly has drawn.
    """
    with st.container(key=f"square_{key}"):
        if preview is not None:
            st.html(f'<img class="bs-preview" alt="" src="{preview}">')
            _let_it_be_seen()
        figure = build()
        figure.update_layout(height=None)
        st.plotly_chart(
            figure,
            width="stretch",
            height="stretch",
            theme=None,
            key=key,
            config=CONFIG,
            alt=alt,
        )


def _let_it_be_seen() -> None:
    """Wait once per session before the first chart is sent.

    A browser that hears of a chart stops to compile Plotly, a second or more; what has arrived
    by then and is not on the screen yet would wait for it.
    """
    if keys.SEEN not in st.session_state:
        st.session_state[keys.SEEN] = True
        time.sleep(HEAD_START)
