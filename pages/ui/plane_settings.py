"""The sidebar's settings of how points are computed: which of the plane, in which precision."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.runs import CompareSpec
from pages.ui import keys

FULL, ACCURACY, TIME, SOBOL, FORT = "full", "accuracy", "time", "sobol", "fort"
MODES = {
    FULL: "Every point of the grid",
    ACCURACY: "Preview to an accuracy",
    TIME: "Preview to a time",
    SOBOL: "2048 Sobol points, as in the paper",
    FORT: "Fort's grid of 21 × 20",
}
MODE_HELP = (
    "A preview evaluates a drawn sample first and then the points that matter most, and says how "
    "far off it may be; from its result the exact grid is one press away."
)
PRECISIONS = {
    "exact": "exact: float32",
    "tf32": "tf32: CUDA devices only",
    "fast": "fast: bfloat16 after the first layers",
}
PRECISION_HELP = (
    "What tf32 and fast cost is measured in the run and said under its plane. Without bfloat16 "
    "instructions in the processor, fast is less exact and not faster: the result then says so."
)
DEFAULTS = {
    keys.PLANE_MODE: FULL,
    keys.PLANE_ACCURACY: 1.0,
    keys.PLANE_SECONDS: 20.0,
    keys.PRECISION: "exact",
}


def fill_plane(spec: CompareSpec | None) -> None:
    """Set these settings to those of a run, or to their defaults."""
    state = st.session_state
    state.update(DEFAULTS)
    if spec is None:
        return
    state[keys.PRECISION] = spec.precision
    state[keys.PLANE_MODE] = mode_of(spec)
    state[keys.PLANE_ACCURACY] = round(100 * spec.plane_accuracy, 6)
    state[keys.PLANE_SECONDS] = spec.plane_seconds or DEFAULTS[keys.PLANE_SECONDS]


def mode_of(spec: CompareSpec) -> str:
    """Return which of the modes a run was asked."""
    if spec.plane_mode == "progressive":
        return TIME if spec.plane_seconds is not None else ACCURACY
    if spec.plane_mode == "sobol":
        return SOBOL
    return FORT if (spec.plane_points, spec.plane_rows) == (21, 20) else FULL


def plane_settings() -> None:
    """Draw the choice of points, and what belongs to it."""
    mode = st.selectbox(
        "Points",
        list(MODES),
        format_func=MODES.__getitem__,
        key=keys.PLANE_MODE,
        help=MODE_HELP,
    )
    if mode == ACCURACY:
        st.number_input(
            "Error of the median loss, %", 0.01, 100.0, step=0.5, key=keys.PLANE_ACCURACY
        )
    if mode == TIME:
        st.number_input("Seconds for the plane", 1.0, step=5.0, key=keys.PLANE_SECONDS)


def precision_settings() -> None:
    """Draw the choice of precision."""
    st.selectbox(
        "Precision",
        list(PRECISIONS),
        format_func=PRECISIONS.__getitem__,
        key=keys.PRECISION,
        help=PRECISION_HELP,
    )


def plane_fields() -> dict[str, Any]:
    """Return the fields of a spec that these settings describe."""
    state = st.session_state
    mode = state.get(keys.PLANE_MODE, FULL)
    fields: dict[str, Any] = {"precision": state.get(keys.PRECISION, "exact")}
    if mode in (ACCURACY, TIME):
        fields["plane_mode"] = "progressive"
    if mode == ACCURACY:
        fields["plane_accuracy"] = state[keys.PLANE_ACCURACY] / 100
    if mode == TIME:
        # Until the time is over: no accuracy is good enough before.
        fields |= {"plane_accuracy": 0.0, "plane_seconds": float(state[keys.PLANE_SECONDS])}
    if mode == SOBOL:
        fields["plane_mode"] = "sobol"
    if mode == FORT:
        fields |= {"plane_points": 21, "plane_rows": 20}
    return fields


def plane_words(points: int) -> str:
    """Return the plane in a few words for the sidebar's card."""
    state = st.session_state
    mode = state.get(keys.PLANE_MODE, FULL)
    if mode == FORT:
        text = "21 × 20"
    elif mode == SOBOL:
        text = "2048 Sobol points"
    else:
        text = f"{points} × {points}"
    if mode == ACCURACY:
        text += f", preview to {state[keys.PLANE_ACCURACY]:g} %"
    elif mode == TIME:
        text += f", preview in {state[keys.PLANE_SECONDS]:g} s"
    return f"{text}, {state.get(keys.PRECISION, 'exact')}"
