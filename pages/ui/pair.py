"""The sidebar's choice of the two networks: built in, uploaded, from the Hub or the server.

A chosen file is read by a worker; until that is done a side is waiting, and a refused file's
side carries the worker's sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from engine.errors import BasinscopeError
from engine.runs import CheckpointInfo, CompareSpec
from pages.ui import engine_access as access
from pages.ui import keys, settings
from pages.ui.ways import CONFIG, HUB, REFERENCE, SERVER, UPLOADS, WAYS, show_way

SIDES = ("a", "b")
LETTERS = {"a": "A", "b": "B"}
BUILTIN, SHOWN = "builtin", "shown"
SOURCES = {
    BUILTIN: "Built-in pair",
    SHOWN: "The pair shown",
    **{key: way.title for key, way in WAYS.items()},
}
FORMATS = (
    "A state dict as .safetensors, .npz, .pt, .pth or .bin, with its config.json where it has "
    "one; or a .pt2, which brings its own architecture."
)


@dataclass(frozen=True)
class Side:
    """One network as far as it is known: stored, still being read, refused, or not chosen."""

    info: CheckpointInfo | None = None
    waiting: str | None = None
    problem: str | None = None
    name: str = ""


@dataclass(frozen=True)
class Pair:
    """Both networks, what is wrong with the two together, and what they were recognised as."""

    a: Side
    b: Side
    problem: str | None = None
    waiting: str | None = None
    fits: bool = False
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sides(self) -> dict[str, Side]:
        """Both sides by their key."""
        return {"a": self.a, "b": self.b}

    @property
    def awaited(self) -> tuple[str, ...]:
        """The runs that the page waits for."""
        return tuple(run for run in (self.a.waiting, self.b.waiting, self.waiting) if run)


def choose_pair(shown: CompareSpec | None) -> Pair:
    """Draw the choice and return what it stands for now."""
    builtin = access.builtin_pair()
    own = shown is not None and (
        builtin is None or (shown.a, shown.b) != (builtin[0].sha256, builtin[1].sha256)
    )
    options = [BUILTIN] * (builtin is not None) + [SHOWN] * own + list(WAYS)
    if st.session_state.get(keys.SOURCE) not in options:
        st.session_state[keys.SOURCE] = SHOWN if own else options[0]
    source = st.selectbox(
        "Networks",
        options,
        format_func=SOURCES.__getitem__,
        key=keys.SOURCE,
        on_change=_new_source,
    )
    if source == BUILTIN and builtin is not None:
        return Pair(Side(builtin[0]), Side(builtin[1]), fits=True)
    if source == SHOWN and shown is not None:
        return _checked(stored_side(shown.a), stored_side(shown.b))
    show_way(source)
    if source in UPLOADS:
        _uploads(source == CONFIG)
    else:
        {HUB: _references, SERVER: _server_files}[source]()
    return _checked(side_of("a"), side_of("b"))


def _new_source() -> None:
    """Networks of the user's own start from the defaults, shown ones from the run shown."""
    if st.session_state[keys.SOURCE] in (BUILTIN, SHOWN):
        st.session_state.pop(keys.FILLED_FROM, None)
    else:
        settings.use_defaults()


def _uploads(several: bool) -> None:
    """A field for each network; what is new in it is stored and handed to a worker once."""
    for side in SIDES:
        files = uploaded(side, LETTERS[side], several)
        if files:
            ask = partial(access.ingest_uploads, files)
            once(side, token_of(files), access.names_of(files), ask)


def uploaded(side: str, label: str, several: bool) -> tuple[UploadedFile, ...]:
    """Draw the field for one network's file, or files, and return what is in it.

    A field of one file takes another in its place; a network without files is not chosen.
    """
    if several:
        files = tuple(
            st.file_uploader(label, accept_multiple_files=True, key=keys.FILES[side], help=FORMATS)
        )
    else:
        file = st.file_uploader(label, key=keys.FILE[side], help=FORMATS)
        files = () if file is None else (file,)
    if not files:
        st.session_state.pop(keys.INGEST[side], None)
    return files


def token_of(files: Sequence[UploadedFile]) -> str:
    """Return what tells this choice of files from any other."""
    return " ".join(sorted(file.file_id for file in files))


def _references() -> None:
    """Two references and one button, so that nothing is fetched while one types."""
    for side in SIDES:
        st.text_input(LETTERS[side], key=keys.HUB[side], placeholder=REFERENCE, help=REFERENCE)
    typed = {side: st.session_state[keys.HUB[side]].strip() for side in SIDES}
    missing = not all(typed.values())
    reason = "Name both networks first." if missing else None
    if st.button("Fetch", key=keys.READ_FILES, width="stretch", disabled=missing, help=reason):
        for side, reference in typed.items():
            st.session_state.pop(keys.INGEST[side], None)
            once(side, reference, reference, lambda given=reference: access.ingest_hub(given))


def _server_files() -> None:
    """Two choices among the files in the server's folder; says how to fill an empty one."""
    files = access.server_files()
    if not files:
        st.info(
            f"There is no checkpoint in {access.server_folder()} on the server. Put files there, "
            f"or set {access.FILES_VARIABLE} to the folder that holds them."
        )
    for side in SIDES:
        name = st.selectbox(
            LETTERS[side],
            list(files),
            index=None,
            key=keys.SERVER[side],
            disabled=not files,
            placeholder="Choose a file" if files else "No files",
        )
        if name is None:
            st.session_state.pop(keys.INGEST[side], None)
        else:
            path = files[name]
            once(side, name, name, lambda path=path: access.ingest_server_file(path))


def once(side: str, token: str, name: str, ask: Callable[[], str]) -> None:
    """Ask a worker for one choice, unless this very choice was asked before."""
    known = st.session_state.get(keys.INGEST[side])
    if known is not None and known["token"] == token:
        return
    try:
        asked = {"token": token, "name": name, "run": ask(), "problem": None}
    except BasinscopeError as error:
        asked = {"token": token, "name": name, "run": None, "problem": str(error)}
    st.session_state[keys.INGEST[side]] = asked


def side_of(side: str) -> Side:
    """Return what has become of a side's choice."""
    asked = st.session_state.get(keys.INGEST[side])
    if asked is None:
        return Side()
    if asked["run"] is None:
        return Side(problem=asked["problem"], name=asked["name"])
    try:
        status = access.store().status(asked["run"])
        if not status.ended:
            return Side(waiting=status.run_id, name=asked["name"])
        if status.state != "done":
            return Side(problem=status.reason or "It was cancelled.", name=asked["name"])
        return stored_side(str(access.result(status).summary["sha256"]))
    except BasinscopeError as error:
        return Side(problem=str(error), name=asked["name"])


def stored_side(sha256: str) -> Side:
    """Return a stored network, or that it is gone."""
    info = access.checkpoint(sha256)
    if info is None:
        return Side(problem="This network is no longer stored here.", name=sha256[:12])
    return Side(info, name=info.name)


def _checked(a: Side, b: Side) -> Pair:
    """Ask whether two stored networks fit."""
    if a.info is None or b.info is None:
        return Pair(a, b)
    try:
        status = access.store().status(access.pair_run(a.info.sha256, b.info.sha256))
        if not status.ended:
            return Pair(a, b, waiting=status.run_id)
        if status.state != "done":
            return Pair(a, b, problem=status.reason or "It was cancelled.")
        found = access.result(status).summary
    except BasinscopeError as error:
        return Pair(a, b, problem=str(error))
    model = found.get("model") or {}
    return Pair(a, b, problem=found["message"], fits=bool(found["fits"]), model=model)
