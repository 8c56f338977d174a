"""The choice of a plane's kind, networks and grid, in the sidebar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures.planes import KINDS, SENTENCES
from engine.runs import CheckpointInfo, PlaneSpec
from engine.runs.plane_spec import KINDS as COUNTS
from pages.ui import engine_access as access
from pages.ui import keys, settings
from pages.ui.kept import kept
from pages.ui.many_models import Chooser, choose_many, misfit
from pages.ui.number_list import read_extent, written
from pages.ui.planes_shown import as_comparison
from pages.ui.statistics_settings import statistics_fields, statistics_settings

CHOOSER = Chooser(keys.PLANES_MODELS, keys.PLANES_FILES, keys.PLANES_READING)
HELP = {
    "three": "Three of one architecture, in the order A, B, C.",
    "random": "One network: the middle of the plane.",
    "pca": "Three or more checkpoints of one training; the last is the middle of the plane.",
    "hessian": "One network: the middle of the plane.",
}
SCALINGS = {"filter": "each filter", "layer": "each tensor", "model": "all together"}
EXTENT_HELP = "u from, u to, v from, v to, in the plane's own unit; empty chooses by kind."
POINTS = (9, 13, 17, 25, 33, 49, 65)
FIELDS = {
    keys.PLANES_MATCHED: "matched",
    keys.PLANES_SCALING: "scaling",
    keys.PLANES_VECTORS: "vectors",
    keys.PLANES_HESSIAN: "hessian_samples",
    keys.PLANES_TOLERANCE: "tolerance",
    keys.PLANES_PRODUCTS: "most_products",
    keys.PLANES_SPLIT: "split",
    keys.PLANES_POINTS: "resolution",
}


def fill(spec: PlaneSpec | None, run_id: str | None) -> None:
    """Set every choice to those of the run shown; else to a built-in network and the defaults."""
    state = st.session_state
    settings.fill(as_comparison(spec), filled_from(run_id))
    filled = keys.PLANES_MODELS in state and state.get(keys.PLANES_SEEN) == run_id
    for key, value in _choices(spec).items():
        if not filled or key not in state:  # what a kind does not draw, Streamlit forgets
            state[key] = value
    if filled:
        return
    state[keys.PLANES_SEEN] = run_id
    pair = access.builtin_pair()
    state[keys.PLANES_MODELS] = list(spec.models) if spec else [pair[0].sha256] if pair else []
    state[keys.PLANES_KIND] = spec.plane if spec else "random"


def _choices(spec: PlaneSpec | None) -> dict[str, Any]:
    """Return what is chosen of a plane at first, by the session key of each choice."""
    usual = {name: field.default for name, field in PlaneSpec.model_fields.items()}
    chosen = {
        key: usual[name] if spec is None else getattr(spec, name) for key, name in FIELDS.items()
    }
    extent = written((spec.extent if spec else None) or ())
    # The order of the networks of a trajectory that is shown is its own.
    by_name = spec is None or spec.plane != "pca"
    return {**chosen, keys.PLANES_EXTENT: extent, keys.PLANES_BY_NAME: by_name}


def filled_from(run_id: str | None) -> str:
    """Return what the settings are marked with: never a run of another page's."""
    return f"plane {run_id}"


def choose_kind() -> str:
    """Draw the choice of the kind of plane and return it."""
    st.selectbox("Kind of plane", list(KINDS), format_func=KINDS.get, key=keys.PLANES_KIND)
    kind = str(st.session_state[keys.PLANES_KIND])
    st.caption(SENTENCES[kind])
    return kind


def choose_models(kind: str) -> tuple[list[CheckpointInfo], bool]:
    """Draw the choice of networks; return them in order, and whether files are being read."""
    fewest, _ = COUNTS[kind]
    wanted = "Choose one" if fewest == 1 else "Choose three" + (" or more" if kind == "pca" else "")
    models, reading = choose_many(CHOOSER, HELP[kind], wanted)
    if kind == "pca":
        st.checkbox("In the order of their names", key=keys.PLANES_BY_NAME)
        if st.session_state[keys.PLANES_BY_NAME]:
            models = sorted(models, key=lambda info: _natural(info.name))
        if len(models) >= fewest:
            st.caption(f"From {models[0].name} to {models[-1].name}.")
    return models, reading


def choose_options(kind: str, batch_norm: bool) -> None:
    """Draw what is asked of the plane itself; only what its kind has."""
    if kind in ("three", "pca"):
        last = "first" if kind == "three" else "last"
        st.checkbox(f"Match the networks to the {last} one first", key=keys.PLANES_MATCHED)
    if kind == "random":
        st.selectbox(
            "Scaled to the network's norm",
            list(SCALINGS),
            format_func=SCALINGS.get,
            key=keys.PLANES_SCALING,
        )
        st.checkbox("Move biases and norm parameters too", key=keys.PLANES_VECTORS)
    if kind == "hessian":
        _hessian_options()
    current = st.session_state[keys.PLANES_POINTS]
    st.selectbox(
        "Grid",
        sorted({*POINTS, current}),
        format_func=lambda n: f"{n} × {n} points",
        key=keys.PLANES_POINTS,
    )
    st.selectbox("Losses on", ["test", "train"], key=keys.PLANES_SPLIT)
    st.text_input("Extent", key=keys.PLANES_EXTENT, help=EXTENT_HELP, placeholder="chosen by kind")
    statistics_settings(batch_norm, repair=False)
    st.number_input("Seed", min_value=0, step=1, key=keys.SEED)


def _hessian_options() -> None:
    """Draw what the eigenvectors of the Hessian take."""
    st.number_input(
        "Training samples of the Hessian", min_value=1, step=500, key=keys.PLANES_HESSIAN
    )
    st.number_input(
        "Tolerance of the eigenvectors",
        min_value=0.0,
        max_value=1.0,
        format="%g",
        key=keys.PLANES_TOLERANCE,
        help="The residual ‖Hv − λv‖ that is allowed, relative to the largest eigenvalue.",
    )
    st.number_input(
        "At most so many products",
        min_value=50,
        max_value=100_000,
        step=100,
        key=keys.PLANES_PRODUCTS,
        help="Each differentiates the loss on these samples twice. Where more are needed, the run "
        "ends and says so.",
    )


def wanted(
    kind: str, models: Sequence[CheckpointInfo], reading: bool, shown: PlaneSpec | None
) -> tuple[PlaneSpec | None, str | None]:
    """Return the spec that the button would ask, or why it cannot be asked.

    Args:
        kind: of plane.
        models: the networks chosen.
        reading: whether files are still being read.
        shown: what the run shown asks; what is not drawn is kept of it.
    """
    if reading:
        return None, "The files are still being read."
    fewest, most = COUNTS[kind]
    if not fewest <= len(models) <= most:
        count = str(fewest) if fewest == most else f"{fewest} to {most}"
        noun = "network" if most == 1 else "networks"
        return None, f"This plane takes {count} {noun}; {len(models)} are chosen."
    recognised: Mapping[str, Any] = models[0].description.get("recognition") or {}
    problem = misfit(models) or settings.data_problem(recognised)
    if problem:
        return None, problem
    state = st.session_state
    try:
        networks = tuple(info.sha256 for info in models)
        fields = kept(shown, networks) | {
            "plane": kind,
            "models": networks,
            "data": settings.chosen_data(shown),
            "seed": int(state[keys.SEED]),
            "extent": read_extent(state[keys.PLANES_EXTENT]),
        }
        fields |= {name: state[key] for key, name in FIELDS.items()} | statistics_fields()
        spec = PlaneSpec(**fields)
    except BasinscopeError as error:
        return None, str(error)
    return spec, None


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts epoch-9 before epoch-10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
