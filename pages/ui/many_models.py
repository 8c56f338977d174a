"""A choice of many networks: stored ones in a list, and files of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import CheckpointInfo
from pages.ui import engine_access as access
from pages.ui.literal import literal
from pages.ui.pair import FORMATS
from pages.ui.pair_cards import wait_for

COUNTER = "num_batches_tracked"  # of BatchNorm: older files lack it, nothing reads it
FILES_HELP = "One file for each network; what is read is kept and chosen. " + FORMATS


@dataclass(frozen=True)
class Chooser:
    """The session keys of one choice: the networks, the uploader, the files being read."""

    models: str
    files: str
    reading: str


def choose_many(
    chooser: Chooser, help_text: str, placeholder: str = "Choose two or more"
) -> tuple[list[CheckpointInfo], bool]:
    """Draw the choice of networks; return those chosen, and whether files are still being read."""
    known = {info.sha256: info for info in access.store().shelf.checkpoints()}
    state = st.session_state
    _take_files(chooser, known)
    state[chooser.models] = [sha for sha in state[chooser.models] if sha in known]
    st.multiselect(
        "Networks",
        list(known),
        format_func=lambda sha: known[sha].name,
        key=chooser.models,
        help=help_text,
        placeholder=placeholder,
    )
    files = st.file_uploader(
        "Add files", key=chooser.files, accept_multiple_files=True, help=FILES_HELP
    )
    for file in files or ():
        _ask(chooser, file)
    _forget(chooser, [file.file_id for file in files or ()])
    reading = [asked for asked in _reading(chooser).values() if asked["run"] and not asked["taken"]]
    for asked in _reading(chooser).values():
        if asked["problem"]:
            name, problem = literal(asked["name"]), literal(asked["problem"])
            st.error(problem if problem.startswith(name) else f"**{name}** {problem}")
        elif asked["same"] and asked["same"] != asked["name"]:
            st.caption(
                f"{literal(asked['name'])} is the same network as {literal(asked['same'])}, which "
                "is chosen once."
            )
    if reading:
        wait_for(tuple(asked["run"] for asked in reading))
    return [known[sha] for sha in state[chooser.models]], bool(reading)


def misfit(models: Sequence[CheckpointInfo]) -> str | None:
    """Say which network is of another architecture than the first, None where none is known to be.

    The worker checks more; this says at once what can be seen from names and shapes.
    """
    shapes = [_shapes(info) for info in models]
    for info, own in zip(models, shapes, strict=True):
        first = shapes[0]
        if not own or not first or own == first:
            continue
        name = next(n for n in [*first, *own] if own.get(n) != first.get(n))
        return (
            f"{name} is {_sizes(own.get(name))} in {info.name} but {_sizes(first.get(name))} in "
            f"{models[0].name}: choose networks of one architecture."
        )
    return None


def _shapes(info: CheckpointInfo) -> dict[str, list[int]]:
    """Return the shapes of all tensors but step counters; none where not all are listed."""
    tensors = info.description.get("tensors") or ()
    if len(tensors) != info.description.get("tensor_count"):
        return {}
    return {t["name"]: t["shape"] for t in tensors if not t["name"].endswith(COUNTER)}


def _sizes(shape: list[int] | None) -> str:
    if shape is None:
        return "missing"
    return "×".join(str(size) for size in shape) if shape else "a scalar"


def has_batch_norm(info: CheckpointInfo) -> bool:
    """Say whether a stored network has BatchNorm with running statistics."""
    tensors = info.description.get("tensors") or ()
    return any(str(tensor["name"]).endswith("running_mean") for tensor in tensors)


def _reading(chooser: Chooser) -> dict[str, dict[str, Any]]:
    return st.session_state.setdefault(chooser.reading, {})


def _ask(chooser: Chooser, file: Any) -> None:
    """Hand an uploaded file to a worker, once."""
    if file.file_id in _reading(chooser):
        return
    asked = {"name": file.name, "run": None, "problem": None, "same": None, "taken": False}
    try:
        asked["run"] = access.ingest_uploads([file])
    except BasinscopeError as error:
        asked["problem"] = str(error)
    _reading(chooser)[file.file_id] = asked


def _forget(chooser: Chooser, present: Sequence[str]) -> None:
    """Forget files that have been read or refused and then taken off the list."""
    reading = _reading(chooser)
    for token, asked in list(reading.items()):
        if token not in present and (asked["taken"] or not asked["run"]):
            del reading[token]


def _take_files(chooser: Chooser, known: Mapping[str, CheckpointInfo]) -> None:
    """Choose the networks of files that have been read; keep what went wrong with others."""
    for asked in _reading(chooser).values():
        if asked["taken"] or not asked["run"]:
            continue
        try:
            status = access.store().status(asked["run"])
            if not status.ended:
                continue
            asked["taken"] = True
            if status.state != "done":
                asked["problem"] = status.reason or "It was cancelled."
                continue
            sha = str(access.result(status).summary["sha256"])
        except BasinscopeError as error:
            asked |= {"taken": True, "problem": str(error)}
            continue
        chosen = st.session_state[chooser.models]
        if sha in known and sha not in chosen:
            st.session_state[chooser.models] = [*chosen, sha]
        elif sha in known:
            asked["same"] = known[sha].name
