"""Explore's sidebar: the pair, the settings, what they will cost, and the Run button."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import CompareSpec
from pages.ui import keys, settings
from pages.ui.ask import ask
from pages.ui.cards import symmetry_card, text_card
from pages.ui.estimate import estimate
from pages.ui.literal import literal
from pages.ui.pair import Pair, choose_pair
from pages.ui.pair_cards import architecture, show_pair
from pages.ui.shown import Shown


def sidebar(shown: Shown) -> bool:
    """Draw the choices and the Run button; a pressed Run opens the new run's address.

    Returns:
        Whether other networks are chosen than those of the run that is shown.
    """
    summary = shown.result.summary if shown.result else None
    settings.fill(shown.spec, shown.run_id)
    pair = choose_pair(shown.spec)
    show_pair(pair, summary)
    text_card(settings.summary_rows())
    with st.expander("Data"):
        settings.data_settings()
    with st.expander("Matching, plane, BatchNorm"):
        settings.run_settings(has_batch_norm(pair))
    spec, problem = wanted(pair, shown.spec)
    st.button(
        "Run",
        key=keys.START,
        type="primary",
        width="stretch",
        disabled=spec is None,
        help=literal(problem) if problem else None,
        on_click=_press,
    )
    if st.session_state.pop(keys.PRESSED, False):
        start(spec, pair, shown)
    if problem:
        st.caption(literal(problem))
    elif spec is not None and (shown.result is None or spec.run_id != shown.run_id):
        st.caption(estimate(spec, pair, shown, has_batch_norm(pair)))
    if summary is not None and not another_pair(pair, shown):
        symmetry_card(summary)
    return another_pair(pair, shown)


def another_pair(pair: Pair, shown: Shown) -> bool:
    """Say whether the networks chosen are others than those of the run shown."""
    if shown.spec is None:
        return False
    chosen = tuple(None if side.info is None else side.info.sha256 for side in (pair.a, pair.b))
    return chosen != (shown.spec.a, shown.spec.b)


def _press() -> None:
    """Remember the press: a redraw that interrupts this one must not lose it."""
    st.session_state[keys.PRESSED] = True


def wanted(pair: Pair, shown: CompareSpec | None) -> tuple[CompareSpec | None, str | None]:
    """Return the spec that Run would ask, or why it cannot be asked."""
    a, b = pair.a.info, pair.b.info
    if pair.awaited:
        return None, "The files are still being read."
    if a is None or b is None:
        return None, "Choose both networks first."
    if not pair.fits:
        return None, "The two networks do not fit together."
    problem = settings.data_problem(architecture(pair))
    if problem:
        return None, problem
    try:
        return settings.make_spec(a.sha256, b.sha256, shown), None
    except BasinscopeError as error:
        return None, str(error)


def start(spec: CompareSpec | None, pair: Pair, shown: Shown) -> None:
    """Ask the run and go to its address, unless its answer is on the page already."""
    if spec is None or pair.a.info is None or pair.b.info is None:
        return
    ask(spec, f"{pair.a.info.name} → {pair.b.info.name}", shown)


def has_batch_norm(pair: Pair) -> bool:
    """Say whether the chosen networks hold BatchNorm statistics; unknown counts as yes."""
    if pair.a.info is None:
        return True
    tensors = pair.a.info.description.get("tensors") or ()
    return any(str(tensor["name"]).endswith("running_mean") for tensor in tensors)
