"""The page's theme and style sheet, and charts drawn in that theme."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from engine.figures.style import CONFIG

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


def square_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure that keeps its shape at every width (see assets/style.css)."""
    figure.update_layout(height=None)
    with st.container(key=f"square_{key}"):
        st.plotly_chart(
            figure,
            width="stretch",
            height="stretch",
            theme=None,
            key=key,
            config=CONFIG,
            alt=alt,
        )
