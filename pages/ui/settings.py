"""The sidebar's settings: data, matching, resolution, BatchNorm; together they make the spec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.data.catalogue import DATASETS
from engine.errors import BasinscopeError
from engine.figures.numbers import count
from engine.runs import CompareSpec, DataSpec, Spec
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.kept import kept, kept_splits
from pages.ui.literal import literal
from pages.ui.number_list import read_numbers, written
from pages.ui.plane_settings import (
    FORT,
    fill_plane,
    plane_fields,
    plane_settings,
    plane_words,
    precision_settings,
)
from pages.ui.statistics_settings import (
    chosen_statistics,
    statistics_fields,
    statistics_settings,
)

UPLOADED = "uploaded"
PLANE_CHOICES = (9, 13, 17, 25, 33, 49, 65)
LINE_CHOICES = (11, 25, 51)
DATA_FILES = "inputs and targets as .npz or .safetensors, or a .txt"
DATA_HELP = (
    "Whole targets [N] are classes, [N, T] tokens to predict (−100 leaves one out), "
    "floating-point ones a regression. uint8 inputs are images, or token ids where the network "
    "takes those; several inputs are named inputs.NAME. A text is read byte by byte."
)
ELSEWHERE = "Choose other data under Data, or upload your own there."
SAMPLES_HELP = "Drawn at random with the seed, from each split. More samples, smaller errors."


def fill(spec: CompareSpec | None, run_id: str | None) -> None:
    """Set every setting to those of the shown run, once per run; else to the defaults."""
    state = st.session_state
    if state.get(keys.FILLED_FROM) == run_id and keys.SEED in state:
        return
    state[keys.FILLED_FROM] = run_id
    _set(spec)


def use_defaults() -> None:
    """Set every setting to its default: a first look at other networks should be a quick one."""
    _set(None)


def _set(spec: CompareSpec | None) -> None:
    state = st.session_state
    data = spec.data if spec is not None else DataSpec(name="mnist")
    state[keys.DATA] = UPLOADED if data.sha256 else data.name
    state[keys.INGEST_DATA] = {"sha256": data.sha256, "name": data.name} if data.sha256 else None
    state[keys.ALL_SAMPLES] = data.samples is None
    state[keys.SAMPLES] = data.samples or 2000
    state[keys.DATA_SEED] = data.seed
    known = DATASETS.get(data.name)
    mean, std = data.mean, data.std
    state[keys.MEAN] = written(mean or (known.mean if known else ()))
    state[keys.STD] = written(std or (known.std if known else ()))
    state[keys.SEED] = spec.seed if spec else 0
    state[keys.RESTARTS] = spec.restarts if spec else 1
    state[keys.PLANE_POINTS] = spec.plane_points if spec else 25
    state[keys.LINE_POINTS] = spec.line_points if spec else 25
    state[keys.RESET_SAMPLES] = spec.reset_samples if spec else 1000
    state[keys.STATISTICS] = chosen_statistics(spec)
    fill_plane(spec)


def data_settings() -> None:
    """Draw the choice of data set, sample and normalisation."""
    state = st.session_state
    st.selectbox(
        "Data set",
        [*DATASETS, UPLOADED],
        format_func=lambda name: DATASETS[name].title if name in DATASETS else "Upload one",
        key=keys.DATA,
        on_change=_new_data,
    )
    if state[keys.DATA] == UPLOADED:
        _data_file()
    st.checkbox("All samples", key=keys.ALL_SAMPLES)
    st.number_input(
        "Samples of each split",
        min_value=1,
        step=500,
        key=keys.SAMPLES,
        disabled=state[keys.ALL_SAMPLES],
        help="All samples are taken." if state[keys.ALL_SAMPLES] else SAMPLES_HELP,
    )
    st.number_input("Sample seed", min_value=0, step=1, key=keys.DATA_SEED)
    own = state[keys.DATA] == UPLOADED
    why = "An uploaded data set is used as it is." if own else "Per channel, after dividing by 255."
    if not own and DATASETS[state[keys.DATA]].kind == "tokens":
        own, why = True, "Token ids are used as they are."
    st.text_input("Mean", key=keys.MEAN, help=why, disabled=own)
    st.text_input("Standard deviation", key=keys.STD, help=why, disabled=own)


def run_settings(batch_norm: bool) -> None:
    """Draw the settings of matching, lines, plane and BatchNorm."""
    st.number_input("Matching seed", min_value=0, step=1, key=keys.SEED)
    st.number_input(
        "Starts of the matching",
        min_value=1,
        max_value=100,
        step=1,
        key=keys.RESTARTS,
        help="The first start places layer after layer by what is known, further ones are random; "
        "the best is kept.",
    )
    current = st.session_state[keys.PLANE_POINTS]
    st.selectbox(
        "Plane",
        sorted({*PLANE_CHOICES, current}),
        format_func=lambda n: f"{n} × {n} points",
        key=keys.PLANE_POINTS,
        disabled=st.session_state[keys.PLANE_MODE] == FORT,
        help="Fort's grid is chosen." if st.session_state[keys.PLANE_MODE] == FORT else None,
    )
    plane_settings()
    current = st.session_state[keys.LINE_POINTS]
    st.selectbox(
        "Lines",
        sorted({*LINE_CHOICES, current}),
        format_func=lambda n: f"{n} points",
        key=keys.LINE_POINTS,
    )
    precision_settings()
    statistics_settings(batch_norm)


def make_spec(a: str, b: str, shown: Spec | None = None) -> CompareSpec:
    """Return the spec that the settings describe.

    Args:
        a, b: the networks.
        shown: what the run shown asks; what is drawn nowhere is kept of it.

    Raises:
        BasinscopeError: a setting is invalid; the text names it.
    """
    fields: dict[str, Any] = _pair_fields(a, b, shown)
    state = st.session_state
    fields |= {
        "data": chosen_data(shown),
        "seed": int(state[keys.SEED]),
        "restarts": int(state[keys.RESTARTS]),
        "plane_points": int(state[keys.PLANE_POINTS]),
        "line_points": int(state[keys.LINE_POINTS]),
    }
    fields |= statistics_fields() | plane_fields()
    return CompareSpec(a=a, b=b, **fields)


def _pair_fields(a: str, b: str, shown: Spec | None) -> dict[str, Any]:
    """Return what Explore draws nowhere: the extent belongs to the very pair."""
    if not isinstance(shown, CompareSpec):
        return {}
    names = {"extent", "overrides"} if (shown.a, shown.b) == (a, b) else {"overrides"}
    return {name: value for name, value in kept(shown, (a, b)).items() if name in names}


def chosen_data(shown: Spec | None = None) -> DataSpec:
    """Return the data that the settings describe; which splits, as the run shown does.

    Raises:
        BasinscopeError: a setting is invalid; the text names it.
    """
    state = st.session_state
    samples = None if state[keys.ALL_SAMPLES] else int(state[keys.SAMPLES])
    chosen: dict[str, Any] = {"samples": samples, "seed": int(state[keys.DATA_SEED])}
    if state[keys.DATA] == UPLOADED:
        stored = state.get(keys.INGEST_DATA) or {}
        if not stored.get("sha256"):
            raise BasinscopeError("Upload a data set, or choose one of the list.")
        chosen |= {"name": stored["name"], "sha256": stored["sha256"]}
    else:
        info = DATASETS[state[keys.DATA]]
        mean = read_numbers("Mean", state[keys.MEAN], "0.485, 0.456, 0.406")
        std = read_numbers("Standard deviation", state[keys.STD], "0.229, 0.224, 0.225")
        chosen["name"] = state[keys.DATA]
        if (mean, std) != (info.mean, info.std):
            if len(mean) != info.shape[0]:
                raise BasinscopeError(f"Mean: {info.title} has {info.shape[0]} channels.")
            chosen |= {"mean": mean, "std": std}
    return DataSpec(**chosen, **kept_splits(shown, chosen["name"], chosen.get("sha256")))


def data_problem(recognised: Mapping[str, Any]) -> str | None:
    """Say why the chosen data cannot go through the recognised network, None where it can."""
    info = DATASETS.get(st.session_state[keys.DATA])
    shape = tuple(recognised.get("input_shape") or ())
    if info is None or not shape:
        return None
    takes_tokens = recognised.get("input_dtype", "float32") == "int64"
    if takes_tokens != (info.kind == "tokens"):
        kinds = ("token ids", "numbers such as images")
        takes, holds = kinds if takes_tokens else kinds[::-1]
        return f"This network takes {takes}; {info.title} holds {holds}."
    wanted = math.prod(info.shape) if len(shape) == 1 else info.shape[0]
    sizes = " × ".join(str(size) for size in info.shape)
    if shape[0] != wanted:
        takes = " × ".join(str(size) for size in shape)
        kind = "images" if info.kind == "images" else "sequences"
        return f"{info.title} has {kind} of {sizes}; this network takes {takes}. {ELSEWHERE}"
    if recognised.get("classes", info.classes) < info.classes:
        return f"{info.title} has {info.classes} classes; this network has fewer outputs."
    return None


def summary_rows() -> list[tuple[str, str]]:
    """Return the settings in three lines for the sidebar's card."""
    state = st.session_state
    info = DATASETS.get(state[keys.DATA])
    data = (
        info.title.split(" (")[0] if info else (state.get(keys.INGEST_DATA) or {}).get("name", "–")
    )
    samples = "all samples" if state[keys.ALL_SAMPLES] else f"{count(state[keys.SAMPLES])} samples"
    points = state[keys.PLANE_POINTS]
    return [
        ("Data", f"{data} train and test, {samples}"),
        ("Match", f"weight matching, seed {state[keys.SEED]}"),
        ("Plane", plane_words(points)),
    ]


def _data_file() -> None:
    """An uploader for a data set; its file is checked by a worker."""
    state = st.session_state
    file = st.file_uploader(DATA_FILES, key=keys.DATA_FILE, help=DATA_HELP)
    known = state.get(keys.INGEST_DATA) or {}
    if file is not None and known.get("token") != file.file_id:
        try:
            run = access.ingest_data(file, file.name)
            known = {"token": file.file_id, "name": file.name, "run": run, "sha256": None}
        except BasinscopeError as error:
            known = {"token": file.file_id, "name": file.name, "run": None, "sha256": None}
            st.error(literal(error))
        state[keys.INGEST_DATA] = known
    if known.get("run") and not known.get("sha256"):
        _wait_for_data(known)
    elif known.get("sha256"):
        st.caption(
            f"{literal(known['name'])} is stored. It is one set: the same samples serve as "
            "training and as test data."
        )


@st.fragment(run_every=0.7)
def _wait_for_data(known: dict[str, Any]) -> None:
    try:
        status = access.store().status(known["run"])
        found = access.result(status).summary if status.state == "done" else None
    except BasinscopeError as error:
        st.error(literal(error))
        return
    if found is not None:
        known["sha256"] = found["sha256"]
        st.session_state[keys.INGEST_DATA] = known
        st.rerun()
    if status.ended:
        st.error(literal(status.reason or "It was cancelled."))
    else:
        st.caption(f"Reading {literal(known['name'])}…")


def _new_data() -> None:
    """Put the new data set's own normalisation into the two fields."""
    info = DATASETS.get(st.session_state[keys.DATA])
    st.session_state[keys.MEAN] = written(info.mean if info else ())
    st.session_state[keys.STD] = written(info.std if info else ())
