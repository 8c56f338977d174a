"""The choice of one network: stored here, uploaded, from the Hub or from the server.

A new file's headers are asked for before the file itself: they are there at once, and they are
all that is known of a network whose architecture is unknown.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.errors import BasinscopeError
from engine.runs import Result
from pages.ui import engine_access as access
from pages.ui import keys
from pages.ui.pair import Side, once, side_of, token_of, uploaded
from pages.ui.pair import stored_side as stored
from pages.ui.ways import CONFIG, HUB, REFERENCE, SERVER, STATE, UPLOADS, WAYS, show_way

ONE = "one"
STORED = "stored"
WORDS = {STORED: "Stored here", **{key: way.title for key, way in WAYS.items()}}


def choose_network(sha256: str | None, run_id: str | None) -> Side:
    """Draw the choice and return the network that it stands for now.

    Args:
        sha256: the network of the run in the address; a run that is new to this page is
            followed, whatever was chosen before.
        run_id: that run.
    """
    state = st.session_state
    names = {info.sha256: info.name for info in access.store().shelf.checkpoints()}
    if sha256 is not None:
        names.setdefault(sha256, f"{sha256[:12]} (no longer stored)")
    if state.get(keys.ONE_SEEN) != run_id or keys.ONE_SOURCE not in state:
        state[keys.ONE_SEEN] = run_id
        state[keys.ONE_SOURCE] = STORED if names else STATE
        if sha256 is not None:
            state[keys.ONE_STORED] = sha256
    source = st.selectbox(
        "Network",
        [STORED, *WAYS] if names else list(WAYS),
        format_func=WORDS.__getitem__,
        key=keys.ONE_SOURCE,
    )
    if source == STORED:
        if state.get(keys.ONE_STORED) not in names:
            state[keys.ONE_STORED] = next(iter(names))
        return stored(
            st.selectbox("Name", list(names), format_func=names.__getitem__, key=keys.ONE_STORED)
        )
    show_way(source)
    if source in UPLOADS:
        _upload(source == CONFIG)
    else:
        {HUB: _reference, SERVER: _server_file}[source]()
    return side_of(ONE)


def headers_result() -> Result | None:
    """Return what the chosen file's headers show, None where that is not known."""
    asked = st.session_state.get(keys.INGEST[ONE])
    run_id = st.session_state.get(keys.ONE_HEADERS)
    if asked is None or run_id is None:
        return None
    try:
        status = access.store().status(run_id)
        return access.result(status) if status.state == "done" else None
    except BasinscopeError:
        return None


def _ask(token: str, name: str, headers: Callable[[], str] | None, file: Callable[[], str]) -> None:
    """Ask for one file's headers, then for the file, unless this very one was asked before."""

    def both() -> str:
        st.session_state[keys.ONE_HEADERS] = headers() if headers is not None else None
        return file()

    once(ONE, token, name, both)


def _upload(several: bool) -> None:
    files = uploaded(ONE, "The network's files" if several else "File", several)
    if files:
        _ask(
            token_of(files),
            access.names_of(files),
            lambda: access.headers_of_uploads(files),
            lambda: access.ingest_uploads(files),
        )


def _reference() -> None:
    st.text_input("Reference", key=keys.HUB[ONE], placeholder=REFERENCE, help=REFERENCE)
    typed = st.session_state[keys.HUB[ONE]].strip()
    reason = None if typed else "Name a network first."
    if st.button("Fetch", key=keys.FETCH_ONE, width="stretch", disabled=not typed, help=reason):
        st.session_state.pop(keys.INGEST[ONE], None)
        _ask(typed, typed, None, lambda: access.ingest_hub(typed))


def _server_file() -> None:
    files = access.server_files()
    if not files:
        st.info(
            f"There is no checkpoint in {access.server_folder()} on the server. Put files there, "
            f"or set {access.FILES_VARIABLE} to the folder that holds them."
        )
    name = st.selectbox(
        "File",
        list(files),
        index=None,
        key=keys.SERVER[ONE],
        disabled=not files,
        placeholder="Choose a file" if files else "No files",
    )
    if name is None:
        st.session_state.pop(keys.INGEST[ONE], None)
        return
    path = files[name]
    _ask(
        name,
        name,
        lambda: access.headers_of_server_file(path),
        lambda: access.ingest_server_file(path),
    )
