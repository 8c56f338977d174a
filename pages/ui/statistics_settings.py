"""The sidebar's settings of what is done to the statistics of channels at every point."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.runs import CompareSpec
from pages.ui import keys

STATISTICS = {
    "usual": ("BatchNorm reset where there is one", {"reset": None}),
    "reset": ("BatchNorm reset", {"reset": True}),
    "interpolate": ("interpolated like weights", {"reset": False}),
    "repair": ("REPAIR", {"statistics": "repair"}),
}
"""Each choice: its words, and the fields of a spec that it is. None is no choice to Streamlit."""

NO_BATCH_NORM = "This network has no BatchNorm to reset; REPAIR rescales its channels all the same."
NOTHING_TO_RESET = "This network has no BatchNorm: nothing to reset."
RESET_HELP = (
    "Between two networks the BatchNorm statistics of neither are right: the barrier then shows "
    "them rather than the landscape. Reset means that they are recomputed on training samples at "
    "each point, which is the default where the model has BatchNorm."
)


def statistics_settings(batch_norm: bool, repair: bool = True) -> None:
    """Draw what is done to the statistics of channels at every point, and on how many samples.

    Args:
        batch_norm: whether the networks have BatchNorm; unknown counts as yes.
        repair: whether REPAIR is among the choices.
    """
    without = NO_BATCH_NORM if repair else NOTHING_TO_RESET
    chosen = st.selectbox(
        "Statistics at every point",
        [choice for choice in STATISTICS if repair or choice != "repair"],
        format_func=lambda choice: STATISTICS[choice][0],
        key=keys.STATISTICS,
        help=RESET_HELP if batch_norm else without,
        disabled=not batch_norm and not repair,
    )
    used = (batch_norm and chosen != "interpolate") or chosen == "repair"
    st.number_input(
        "Training samples for them",
        min_value=1,
        step=500,
        key=keys.RESET_SAMPLES,
        disabled=not used,
        help="Each point runs them once more." if used else "No point needs them.",
    )


def chosen_statistics(spec: CompareSpec | None) -> str:
    """Return the choice that a run was asked with."""
    if spec is None or (spec.statistics is None and spec.reset is None):
        return "usual"
    return spec.statistics or ("reset" if spec.reset else "interpolate")


def statistics_fields() -> dict[str, Any]:
    """Return the fields of a spec that the choice and its samples describe."""
    state = st.session_state
    chosen = STATISTICS[state.get(keys.STATISTICS, "usual")][1]
    return {**chosen, "reset_samples": int(state[keys.RESET_SAMPLES])}
