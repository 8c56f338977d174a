"""Planes: the loss around one network, along a training, or through any three networks."""

from __future__ import annotations

import streamlit as st

from engine.figures.planes import KINDS
from engine.runs import PlaneSpec
from pages.ui import keys, settings
from pages.ui.ask import ask
from pages.ui.inspect_shown import show_elsewhere
from pages.ui.launch import through_app
from pages.ui.literal import literal
from pages.ui.many_models import has_batch_norm
from pages.ui.planes_choice import (
    choose_kind,
    choose_models,
    choose_options,
    fill,
    filled_from,
    wanted,
)
from pages.ui.planes_progress import show_ended, show_progress
from pages.ui.planes_result import show_plane
from pages.ui.planes_shown import ShownPlane, list_planes, shown_plane

WELCOME = (
    "Choose a kind of plane and its networks in the sidebar and press **Draw the plane**. The "
    "built-in network is ready for the two kinds that go around one; a training's checkpoints "
    "come from `python -m engine train … --checkpoints DIR`."
)


def sidebar(here: ShownPlane) -> None:
    """Draw the choices and the button; pressed, it opens the new run's address."""
    fill(here.spec, here.run_id)
    kind = choose_kind()
    models, reading = choose_models(kind)
    with st.expander("Plane"):
        choose_options(kind, any(has_batch_norm(info) for info in models))
    with st.expander("Data"):
        settings.data_settings()
    spec, problem = wanted(kind, models, reading, here.spec)
    st.button(
        "Draw the plane",
        key=keys.PLANES_START,
        type="primary",
        width="stretch",
        disabled=spec is None,
        on_click=_press,
    )
    if problem:
        st.caption(literal(problem))
    if st.session_state.pop(keys.PLANES_PRESSED, False) and spec is not None:
        start(spec, models[0].name, here)


def _press() -> None:
    """Remember the press: a redraw that interrupts this one must not lose it."""
    st.session_state[keys.PLANES_PRESSED] = True


def start(spec: PlaneSpec, name: str, here: ShownPlane) -> None:
    """Ask the run and go to its address, unless its answer is on the page already."""
    more = f" and {len(spec.models) - 1} more" if len(spec.models) > 1 else ""
    title = f"{KINDS[spec.plane]}: {name}{more}"
    ask(spec, title, here, keys.PLANES_SEEN, filled_from)


through_app()
here = shown_plane()
with st.sidebar:
    sidebar(here)
if here.problem:
    show_elsewhere(here.run_id, here.problem, here.page, "Back to the choice of planes")
elif here.run_id is None or here.status is None:
    st.html('<h1 class="bs-headline">Planes of other kinds</h1>')
    st.info(WELCOME)
    list_planes()
elif here.result is not None:
    show_plane(here.run_id, here.result)
elif here.status.ended:
    show_ended(here.status)
else:
    show_progress(here.run_id)
