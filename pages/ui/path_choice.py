"""The choice of a curve, its end and its training, in the sidebar."""

from __future__ import annotations

import streamlit as st

from engine.data.catalogue import DATASETS
from engine.errors import BasinscopeError
from engine.figures.numbers import count
from engine.figures.path import SHAPES
from engine.matching.methods import METHODS
from engine.runs import PathSpec
from engine.runs.path_spec import MOST_BENDS, MOST_EPOCHS, MOST_RATE
from pages.ui import keys, settings
from pages.ui.kept import kept, kept_options
from pages.ui.number_list import read_extent, written
from pages.ui.pair import Pair
from pages.ui.pair_cards import architecture
from pages.ui.path_shown import as_comparison
from pages.ui.statistics_settings import statistics_fields, statistics_settings

ENDS = {"b": "B", "pi_b": "π(B)", "both": "both"}
END_HELP = (
    "B as it is; or B with its units in the order that matches A, which computes the same; or one "
    "curve to each, for comparison."
)
EXTENT_HELP = (
    "Of the plane: u from, u to, v from, v to, in units of the ends' distance; empty is a square "
    "around the curve."
)
OPTIMISERS = {"adam": "Adam", "sgd": "SGD, momentum .9"}
FIELDS = {
    keys.PATH_END: "end",
    keys.PATH_SHAPE: "shape",
    keys.PATH_BENDS: "bends",
    keys.PATH_METHOD: "method",
    keys.PATH_EPOCHS: "epochs",
    keys.PATH_BATCH: "batch_size",
    keys.PATH_OPTIMISER: "optimiser",
    keys.PATH_RATE: "rate",
    keys.PATH_DECAY: "weight_decay",
}


def fill(spec: PathSpec | None, run_id: str | None) -> None:
    """Set every choice to those of the run shown; else to the defaults."""
    state = st.session_state
    settings.fill(as_comparison(spec), filled_from(run_id))
    if state.get(keys.PATH_SEEN) == run_id and all(key in state for key in FIELDS):
        return
    state[keys.PATH_SEEN] = run_id
    for key, name in FIELDS.items():
        usual = PathSpec.model_fields[name].default
        state[key] = usual if spec is None else getattr(spec, name)
    state[keys.PATH_EXTENT] = written((spec.extent if spec else None) or ())


def filled_from(run_id: str | None) -> str:
    """Return what the settings are marked with: never a run of Explore's, which fills its own."""
    return f"path {run_id}"


def choose_curve(batch_norm: bool) -> None:
    """Draw the choice of the end, the shape and how the bends are trained.

    Args:
        batch_norm: whether the networks have BatchNorm; unknown counts as yes.
    """
    st.segmented_control(
        "The curve leads from A to",
        list(ENDS),
        format_func=ENDS.__getitem__,
        required=True,
        key=keys.PATH_END,
        help=END_HELP,
    )
    shape, bends = st.columns([2, 1])
    shape.selectbox("Shape", list(SHAPES), format_func=_shape, key=keys.PATH_SHAPE)
    bends.number_input("Bends", min_value=1, max_value=MOST_BENDS, step=1, key=keys.PATH_BENDS)
    epochs, rate = st.columns(2)
    epochs.number_input("Epochs", 1, MOST_EPOCHS, step=1, key=keys.PATH_EPOCHS)
    rate.number_input(
        "Rate",
        min_value=0.0,
        max_value=MOST_RATE,
        format="%g",
        key=keys.PATH_RATE,
        help="Held for half of the steps, then falling to a hundredth.",
    )
    st.caption(_steps())
    with st.expander("Training, matching, plane"):
        _further()
        statistics_settings(batch_norm, repair=False)


def _further() -> None:
    """Draw what is seldom changed."""
    state = st.session_state
    st.selectbox("Optimiser", list(OPTIMISERS), format_func=OPTIMISERS.get, key=keys.PATH_OPTIMISER)
    st.number_input("Samples per step", min_value=1, step=50, key=keys.PATH_BATCH)
    st.number_input(
        "Weight decay",
        min_value=0.0,
        max_value=MOST_RATE,
        format="%g",
        key=keys.PATH_DECAY,
        help="Of the point on the curve that a step looks at.",
    )
    unmatched = state[keys.PATH_END] == "b"
    st.selectbox(
        "Matching",
        list(METHODS),
        format_func=lambda key: METHODS[key].title,
        key=keys.PATH_METHOD,
        disabled=unmatched,
        help="The curve leads to B as it is: nothing is matched." if unmatched else None,
    )
    st.number_input("Seed", min_value=0, step=1, key=keys.SEED)
    points = state[keys.PLANE_POINTS]
    st.selectbox(
        "Plane",
        sorted({0, *settings.PLANE_CHOICES, points}),
        format_func=lambda n: f"{n} × {n} points" if n else "none",
        key=keys.PLANE_POINTS,
    )
    st.text_input(
        "Extent", key=keys.PATH_EXTENT, help=EXTENT_HELP, placeholder="a square around the curve"
    )


def wanted(pair: Pair, shown: PathSpec | None) -> tuple[PathSpec | None, str | None]:
    """Return the spec that the button would ask, or why it cannot be asked.

    Args:
        pair: the networks chosen.
        shown: what the run shown asks; what is not drawn is kept of it.
    """
    a, b, state = pair.a.info, pair.b.info, st.session_state
    problem = _problem(pair)
    if problem or a is None or b is None:
        return None, problem
    try:
        fields = kept(shown, (a.sha256, b.sha256)) | {
            "a": a.sha256,
            "b": b.sha256,
            "data": settings.chosen_data(shown),
            "seed": int(state[keys.SEED]),
            "plane_points": int(state[keys.PLANE_POINTS]),
            "extent": read_extent(state[keys.PATH_EXTENT]),
            "options": kept_options(shown, state[keys.PATH_METHOD]),
        }
        fields |= {name: state[key] for key, name in FIELDS.items()} | statistics_fields()
        spec = PathSpec(**fields)
    except BasinscopeError as error:
        return None, str(error)
    return spec, None


def _problem(pair: Pair) -> str | None:
    """Say what stands against a path between the networks chosen, None where nothing does."""
    if pair.awaited:
        return "The files are still being read."
    if pair.a.info is None or pair.b.info is None:
        return "Choose both networks first."
    if not pair.fits:
        return "The two networks do not fit together."
    samples = _samples()
    if samples is not None and samples < st.session_state[keys.PATH_BATCH]:
        return f"A step takes more samples than the {count(samples)} of the training data."
    return settings.data_problem(architecture(pair))


def _samples() -> int | None:
    """Return how many training samples the settings take; None of data of the user's own."""
    state = st.session_state
    info = DATASETS.get(state[keys.DATA])
    if info is None:
        return None
    most = info.sizes["train"]
    return most if state[keys.ALL_SAMPLES] else min(int(state[keys.SAMPLES]), most)


def _steps() -> str:
    samples, state = _samples(), st.session_state
    if samples is None or not state[keys.PATH_BATCH]:
        return "Trained on the samples chosen under Data."
    steps = samples // state[keys.PATH_BATCH] * state[keys.PATH_EPOCHS]
    return f"{count(steps)} steps on {count(samples)} training samples."


def _shape(key: str) -> str:
    return SHAPES[key][0].upper() + SHAPES[key][1:]
