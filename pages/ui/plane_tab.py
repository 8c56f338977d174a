"""The tab with the plane of a finished run: the picture, the three curves, what was checked."""

from __future__ import annotations

import streamlit as st

from engine.figures import curves_figure
from engine.figures.plane_words import plane_notes
from engine.runs import Result
from pages.ui.literal import literal
from pages.ui.look import chart, theme
from pages.ui.plane_view import draw_plane, plane_controls


def plane_tab(run_id: str, found: Result) -> None:
    """Draw the plane beside the three small curves."""
    options = plane_controls(found.arrays)
    left, right = st.columns([1.62, 1], gap="medium")
    with left:
        draw_plane(run_id, found.arrays, found.summary, options, "plane")
    with right:
        figure = curves_figure(found.arrays, found.summary, theme=theme(), height=560)
        chart(figure, "edges", "Loss along the three edges")
    st.caption(literal(" ".join(plane_notes(found.summary))))
