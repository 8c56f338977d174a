"""A choice of many networks: stored ones in a list, and files of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import CheckpointInfo
from pages.ui import engine_access as access
from pages.ui.literal import literal
from pages.ui.pair import FORMATS
from pages.ui.pair_cards import wait_for

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
    reading = [asked for asked in _reading(chooser).values() if asked["run"] and not asked["taken"]]
    for asked in _reading(chooser).values():
        if asked["problem"]:
            st.error(f"**{literal(asked['name'])}** {literal(asked['problem'])}")
    if reading:
        wait_for(tuple(asked["run"] for asked in reading))
    return [known[sha] for sha in state[chooser.models]], bool(reading)


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
    asked = {"name": file.name, "run": None, "problem": None, "taken": False}
    try:
        asked["run"] = access.ingest_uploads([file])
    except BasinscopeError as error:
        asked["problem"] = str(error)
    _reading(chooser)[file.file_id] = asked


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
