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
from pages.ui.many_models import Chooser, choose_many
from pages.ui.merge_choice import ELSEWHERE
from pages.ui.planes_shown import as_comparison

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
DEFAULTS: Mapping[str, Any] = {
    keys.PLANES_BY_NAME: True,
    keys.PLANES_MATCHED: False,
    keys.PLANES_SCALING: "filter",
    keys.PLANES_VECTORS: False,
    keys.PLANES_HESSIAN: 1000,
    keys.PLANES_SPLIT: "test",
    keys.PLANES_POINTS: 25,
    keys.PLANES_EXTENT: "",
}


def fill(spec: PlaneSpec | None, run_id: str | None) -> None:
    """Set every choice to those of the run shown; else to a built-in network and the defaults."""
    state = st.session_state
    settings.fill(as_comparison(spec), filled_from(run_id))
    for key, default in ELSEWHERE.items():
        state.setdefault(key, default)
    if keys.PLANES_MODELS in state and state.get(keys.PLANES_SEEN) == run_id:
        for key, default in DEFAULTS.items():  # what a kind does not draw is forgotten
            state.setdefault(key, default)
        return
    state[keys.PLANES_SEEN] = run_id
    pair = access.builtin_pair()
    state[keys.PLANES_MODELS] = list(spec.models) if spec else [pair[0].sha256] if pair else []
    state[keys.PLANES_KIND] = spec.plane if spec else "random"
    for key, default in DEFAULTS.items():
        state[key] = default
    if spec is not None:
        state[keys.PLANES_BY_NAME] = False  # the run's own order stands
        state[keys.PLANES_MATCHED] = spec.matched
        state[keys.PLANES_SCALING] = spec.scaling
        state[keys.PLANES_VECTORS] = spec.vectors
        state[keys.PLANES_HESSIAN] = spec.hessian_samples
        state[keys.PLANES_SPLIT] = spec.split
        state[keys.PLANES_POINTS] = spec.resolution
        state[keys.PLANES_EXTENT] = ", ".join(f"{end:g}" for end in spec.extent or ())
        state[keys.RESET], state[keys.RESET_SAMPLES] = spec.reset, spec.reset_samples


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
        st.number_input(
            "Training samples of the Hessian", min_value=1, step=500, key=keys.PLANES_HESSIAN
        )
    current = st.session_state[keys.PLANES_POINTS]
    st.selectbox(
        "Grid",
        sorted({*POINTS, current}),
        format_func=lambda n: f"{n} × {n} points",
        key=keys.PLANES_POINTS,
    )
    st.selectbox("Losses on", ["test", "train"], key=keys.PLANES_SPLIT)
    st.text_input("Extent", key=keys.PLANES_EXTENT, help=EXTENT_HELP, placeholder="chosen by kind")
    st.selectbox(
        "Reset BatchNorm statistics",
        list(settings.RESET_WORDS),
        format_func=settings.RESET_WORDS.__getitem__,
        key=keys.RESET,
        disabled=not batch_norm,
        help=None if batch_norm else "This network has no BatchNorm: nothing to reset.",
    )
    st.number_input("Seed", min_value=0, step=1, key=keys.SEED)


def wanted(
    kind: str, models: Sequence[CheckpointInfo], reading: bool
) -> tuple[PlaneSpec | None, str | None]:
    """Return the spec that the button would ask, or why it cannot be asked."""
    if reading:
        return None, "The files are still being read."
    fewest, most = COUNTS[kind]
    if not fewest <= len(models) <= most:
        count = str(fewest) if fewest == most else f"{fewest} to {most}"
        noun = "network" if most == 1 else "networks"
        return None, f"This plane takes {count} {noun}; {len(models)} are chosen."
    recognised: Mapping[str, Any] = models[0].description.get("recognition") or {}
    problem = settings.data_problem(recognised)
    if problem:
        return None, problem
    state = st.session_state
    try:
        chosen = settings.make_spec(models[0].sha256, models[0].sha256)
        spec = PlaneSpec(
            plane=kind,
            models=tuple(info.sha256 for info in models),
            data=chosen.data,
            seed=chosen.seed,
            split=state[keys.PLANES_SPLIT],
            resolution=int(state[keys.PLANES_POINTS]),
            extent=_extent(state[keys.PLANES_EXTENT]),
            scaling=state[keys.PLANES_SCALING],
            vectors=state[keys.PLANES_VECTORS],
            matched=state[keys.PLANES_MATCHED],
            hessian_samples=int(state[keys.PLANES_HESSIAN]),
            reset=state[keys.RESET],
            reset_samples=int(state[keys.RESET_SAMPLES]),
        )
    except BasinscopeError as error:
        return None, str(error)
    return spec, None


def _extent(text: str) -> tuple[float, ...] | None:
    parts = [part for part in text.split(",") if part.strip()]
    try:
        ends = tuple(float(part) for part in parts)
    except ValueError:
        ends = ()
    if parts and len(ends) != 4:
        raise BasinscopeError("Extent: write four numbers with commas, such as -1, 1, -1, 1.")
    return ends or None


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts epoch-9 before epoch-10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
