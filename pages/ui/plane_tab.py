"""The tab with the plane of a finished run: the picture, the three curves, what was checked."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import curves_figure
from engine.figures.plane_words import plane_notes
from engine.runs import CompareSpec, Result
from pages.ui import engine_access as access
from pages.ui import keys
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
    if (found.summary.get("plane") or {}).get("estimate"):
        _exact_grid(run_id)
    st.caption(literal(" ".join(plane_notes(found.summary))))


def _exact_grid(run_id: str) -> None:
    """A button that asks the very same question with every point of the grid."""
    st.button(
        "Compute the exact grid",
        key=keys.EXACT_GRID,
        icon=":material/grid_on:",
        help="The same networks, data and settings, with every point of the grid evaluated.",
        on_click=_ask_exact_grid,
        args=(run_id,),
    )
    if problem := st.session_state.pop(keys.EXACT_PROBLEM, None):
        st.error(literal(problem))


def _ask_exact_grid(run_id: str) -> None:
    """Open the run with the full grid; a callback, since a redraw must not lose the press."""
    try:
        spec = access.store().spec(run_id)
        asked = spec.model_dump(exclude={"plane_mode", "plane_accuracy", "plane_seconds"})
        asked.pop("plane_sobol")
        title = access.store().status(run_id).title
        st.query_params[keys.RUN] = access.submit(CompareSpec(**asked), title)
    except BasinscopeError as error:
        st.session_state[keys.EXACT_PROBLEM] = str(error)
