"""The choice of networks, method and repairs of a merge, in the sidebar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.merging.methods import MERGE_MANY, MERGES
from engine.repair.catalogue import REPAIRS, RESET
from engine.runs import CheckpointInfo, MergeSpec
from pages.ui import engine_access as access
from pages.ui import keys, settings
from pages.ui.kept import kept, kept_options
from pages.ui.many_models import Chooser, choose_many, has_batch_norm, misfit
from pages.ui.merge_shown import as_comparison

FEWEST, MOST = 2, 64
NO_BATCH_NORM = "These networks have no BatchNorm: nothing to reset."
CHOOSER = Chooser(keys.MERGE_MODELS, keys.MERGE_FILES, keys.MERGE_READING)


def fill(spec: MergeSpec | None, run_id: str | None) -> None:
    """Set every choice to those of the run shown; else to the built-in pair and the defaults."""
    state = st.session_state
    settings.fill(as_comparison(spec), filled_from(run_id))
    if keys.MERGE_MODELS in state and state.get(keys.MERGE_SEEN) == run_id:
        return
    state[keys.MERGE_SEEN] = run_id
    pair = access.builtin_pair()
    builtin = [info.sha256 for info in pair] if pair else []
    state[keys.MERGE_MODELS] = list(spec.models) if spec else builtin
    state[keys.MERGE_METHOD] = spec.method if spec else MERGE_MANY
    for key in REPAIRS:
        state[keys.MERGE_REPAIR + key] = spec is not None and key in spec.repairs


def filled_from(run_id: str | None) -> str:
    """Return what the settings are marked with: never a run of Explore's, which fills its own."""
    return f"merge {run_id}"


def choose_models() -> tuple[list[CheckpointInfo], bool]:
    """Draw the choice of networks; return those chosen, and whether files are still being read."""
    return choose_many(
        CHOOSER, "Two or more of one architecture. The first gives the result its order and names."
    )


def choose_method(models: list[CheckpointInfo]) -> None:
    """Draw the choice of the method and of what is done after it."""
    st.selectbox(
        "Method",
        list(MERGES),
        format_func=lambda key: (
            MERGES[key].title.capitalize() if MERGES[key].title.islower() else MERGES[key].title
        ),
        key=keys.MERGE_METHOD,
    )
    st.caption(MERGES[st.session_state[keys.MERGE_METHOD]].sentence)
    st.html('<p class="bs-small"><b>After matching</b></p>')
    reset = any(has_batch_norm(info) for info in models)
    for key, repair in REPAIRS.items():
        without = key == RESET and not reset
        if without:
            st.session_state[keys.MERGE_REPAIR + key] = False
        st.checkbox(
            repair.title[0].upper() + repair.title[1:],
            key=keys.MERGE_REPAIR + key,
            disabled=without,
            help=NO_BATCH_NORM if without else repair.sentence,
        )


def wanted(
    models: list[CheckpointInfo], reading: bool, shown: MergeSpec | None
) -> tuple[MergeSpec | None, str | None]:
    """Return the spec that Run would ask, or why it cannot be asked.

    Args:
        models: the networks chosen.
        reading: whether files are still being read.
        shown: what the run shown asks; what is not drawn is kept of it.
    """
    if reading:
        return None, "The files are still being read."
    if not FEWEST <= len(models) <= MOST:
        return None, f"Choose {FEWEST} to {MOST} networks."
    recognised: Mapping[str, Any] = models[0].description.get("recognition") or {}
    problem = misfit(models) or settings.data_problem(recognised)
    if problem:
        return None, problem
    state = st.session_state
    try:
        method, networks = state[keys.MERGE_METHOD], tuple(info.sha256 for info in models)
        fields = kept(shown, networks) | {
            "models": networks,
            "data": settings.chosen_data(shown),
            "seed": int(state[keys.SEED]),
            "method": method,
            "options": kept_options(shown, method),
            "repairs": tuple(key for key in REPAIRS if state[keys.MERGE_REPAIR + key]),
        }
        spec = MergeSpec(**fields)
    except BasinscopeError as error:
        return None, str(error)
    return spec, None
