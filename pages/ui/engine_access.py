"""The only door from the pages to the engine: the store and the executor, nothing that computes.

The web process never imports torch: runs are asked for here and answered by worker processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from engine.errors import BasinscopeError
from engine.home import home
from engine.runs import (
    CheckpointInfo,
    FilesHeadersSpec,
    HeadersSpec,
    IngestDataSpec,
    IngestFilesSpec,
    IngestSpec,
    InspectSpec,
    LocalExecutor,
    NamedUpload,
    PairSpec,
    Result,
    RunStatus,
    Spec,
    Store,
)
from pages.ui import keys

CHECKPOINT_SUFFIXES = (".safetensors", ".npz", ".pt", ".pth", ".bin", ".pt2")
SHARD_INDEX = ".safetensors.index.json"
MOST_SERVER_FILES = 500
PREPARED_AFTER = 1.5  # seconds
FILES_VARIABLE = "BASINSCOPE_FILES"


@st.cache_resource(show_spinner=False)
def _store(folder: str) -> Store:
    return Store(folder)


@st.cache_resource(show_spinner=False)
def _executor(folder: str) -> LocalExecutor:
    executor = LocalExecutor(_store(folder))
    executor.watch()
    return executor


def store() -> Store:
    """Return the store of this installation's home folder."""
    return _store(str(home()))


def executor() -> LocalExecutor:
    """Return what keeps the workers alive; the first call takes up unfinished runs."""
    return _executor(str(home()))


def prepare(after: float = PREPARED_AFTER) -> None:
    """Start the worker that computes, once per visit, so that the first run need not wait for it.

    Args:
        after: seconds from now; the page is drawn meanwhile.
    """
    if keys.PREPARED in st.session_state:
        return
    st.session_state[keys.PREPARED] = True
    start = threading.Timer(after, _start_worker, (executor(),))
    start.daemon = True
    start.start()


def _start_worker(workers: LocalExecutor) -> None:
    with suppress(BasinscopeError, OSError):  # the first run says what is wrong
        workers.ensure_worker("compute")


def submit(spec: Spec, title: str) -> str:
    """Ask a run and see that a worker takes it; returns its id at once."""
    run_id = store().submit(spec, title)
    if not store().status(run_id).ended:
        executor().ensure_worker()
    return run_id


def recompute(run_id: str) -> None:
    """Ask a run again that failed, was cancelled or is damaged."""
    store().recompute(run_id)
    executor().ensure_worker()


def cancel(run_id: str) -> None:
    """Ask a run to end; its finished tiles are kept."""
    executor().cancel(run_id)


def builtin_run() -> str | None:
    """Return the id of the run that Explore opens on."""
    runs = store().list("compare")
    return next((run.run_id for run in runs if run.builtin), None)


def builtin_pair() -> tuple[CheckpointInfo, CheckpointInfo] | None:
    """Return the two built-in checkpoints, A and B."""
    run = builtin_run()
    found = {info.sha256: info for info in store().shelf.checkpoints() if info.builtin}
    if run is not None:
        spec: Any = store().spec(run)
        if spec.a in found and spec.b in found:
            return found[spec.a], found[spec.b]
    pair = list(found.values())[:2]
    return (pair[0], pair[1]) if len(pair) == 2 else None


def result(status: RunStatus) -> Result:
    """Return a finished run's result; read once per finished state."""
    return _result(str(home()), status.run_id, status.finished)


@st.cache_data(show_spinner=False, max_entries=64)
def _result(folder: str, run_id: str, finished: float | None) -> Result:
    loaded = _store(folder).result(run_id)
    return Result(dict(loaded.arrays), dict(loaded.summary), dict(loaded.provenance))


def checkpoint(sha256: str) -> CheckpointInfo | None:
    """Return a stored checkpoint's description, None where it is gone."""
    try:
        return store().shelf.checkpoint(sha256)
    except BasinscopeError:
        return None


def ingest_uploads(files: Sequence[UploadedFile]) -> str:
    """Store the uploaded files of one network and ask a worker to read them; returns the run."""
    title = f"Read {names_of(files)}"
    if _is_whole(files):
        (file,) = files
        return submit(IngestSpec(upload=_saved(file), name=file.name[-200:]), title)
    return submit(IngestFilesSpec(files=_named(files)), title)


def ingest_data(file: BinaryIO, name: str) -> str:
    """Store an uploaded data set and ask a worker to check it; returns the run's id."""
    sha256 = store().shelf.save_upload(file)
    return submit(IngestDataSpec(upload=sha256, name=name[-200:]), f"Read {name}")


def ingest_hub(reference: str) -> str:
    """Ask a worker to fetch `org/name[@revision][:file]`; returns the run's id."""
    return submit(IngestSpec(hub=reference), f"Fetch {reference}")


def ingest_server_file(path: Path) -> str:
    """Ask a worker to read a file that lies on the server; returns the run's id."""
    return submit(IngestSpec.from_path(path, name=path.name[-200:]), f"Read {path.name}")


def headers_of_uploads(files: Sequence[UploadedFile]) -> str:
    """Store the uploaded files of one network and ask for their headers; returns the run's id."""
    title = f"Headers of {names_of(files)}"
    if _is_whole(files):
        (file,) = files
        return submit(HeadersSpec(upload=_saved(file), name=file.name[-200:]), title)
    return submit(FilesHeadersSpec(files=_named(files)), title)


def names_of(files: Sequence[UploadedFile]) -> str:
    """Return what uploaded files are called together: weights before their config."""
    names = sorted((file.name for file in files), key=lambda name: (name.endswith(".json"), name))
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _is_whole(files: Sequence[UploadedFile]) -> bool:
    """Whether one file is a network by itself; a config that came alone has words of its own."""
    return len(files) == 1 and not files[0].name.endswith(".json")


def _named(files: Sequence[UploadedFile]) -> tuple[NamedUpload, ...]:
    return tuple(NamedUpload(name=file.name, upload=_saved(file)) for file in files)


def _saved(file: UploadedFile) -> str:
    file.seek(0)
    return store().shelf.save_upload(file)


def headers_of_server_file(path: Path) -> str:
    """Ask a worker for the headers of a file that lies on the server; returns the run's id."""
    known = IngestSpec.from_path(path)
    spec = HeadersSpec(path=known.path, stamp=known.stamp, name=path.name[-200:])
    return submit(spec, f"Headers of {path.name}")


def inspect_run(info: CheckpointInfo) -> str:
    """Ask what a stored network is; returns the run's id."""
    return submit(InspectSpec(checkpoint=info.sha256), info.name)


def pair_run(a: str, b: str) -> str:
    """Ask whether two stored checkpoints fit; returns the run's id."""
    return submit(PairSpec(a=a, b=b), "Compare shapes")


def server_folder() -> Path:
    """Return the one folder whose files may be named on the page."""
    named = os.environ.get(FILES_VARIABLE)
    return Path(named).expanduser().resolve() if named else home() / "files"


def server_files() -> Mapping[str, Path]:
    """Return the checkpoint files under the server's folder by relative name."""
    folder = server_folder()
    if not folder.is_dir():
        return {}
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith((*CHECKPOINT_SUFFIXES, SHARD_INDEX))
        and path.is_file()
        and path.resolve().is_relative_to(folder)
    )
    return {str(path.relative_to(folder)): path for path in found[:MOST_SERVER_FILES]}
