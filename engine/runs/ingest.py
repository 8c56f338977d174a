"""Jobs that turn what a user brings into stored, content-addressed files.

This is the only place where a stranger's file is read, and it runs in the worker of the
lane "files": a file that takes its reader down takes no other run with it. The raw upload is
dropped once it is converted or refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.checkpoints import (
    Checkpoint,
    about,
    check_finite,
    check_fit,
    environment_token,
    fetch_checkpoint,
    read_beside,
    read_bundle,
    read_checkpoint,
    read_folder,
)
from engine.data import load_dataset
from engine.errors import (
    BasinscopeError,
    CancelledError,
    DataError,
    MismatchError,
    NonFiniteError,
    RunError,
    UnknownArchitectureError,
)
from engine.families import (
    Recognition,
    architecture_source,
    check_same_config,
    recognise_checkpoint,
)
from engine.runs.context import JobContext, JobResult
from engine.runs.files import replacing
from engine.runs.files_spec import IngestFilesSpec
from engine.runs.shelf import DATA_FORMATS, Shelf
from engine.runs.spec import IngestDataSpec, IngestSpec, PairSpec
from engine.runs.staging import staged
from engine.runs.stored import (
    describe,
    describe_recognition,
    graph_for,
    load_stored,
    save_checkpoint,
)
from engine.studies.graphs import check_same_graph


def ingest(spec: IngestSpec, context: JobContext) -> JobResult:
    """Read one file, recognise its architecture and store it.

    Raises:
        BasinscopeError: what is wrong with the file, for the user.
    """
    uploads = () if spec.upload is None else (spec.upload,)
    return _stored(lambda: _read(spec, context), spec.overrides, uploads, context)


def ingest_files(spec: IngestFilesSpec, context: JobContext) -> JobResult:
    """Read the uploaded files of one model, recognise its architecture and store it.

    Raises:
        BasinscopeError: what is wrong with the files, for the user.
    """

    def read() -> Checkpoint:
        with staged(spec.files, context.store.shelf) as folder:
            return read_bundle(folder)

    return _stored(read, spec.overrides, tuple(file.upload for file in spec.files), context)


def ingest_data(spec: IngestDataSpec, context: JobContext) -> JobResult:
    """Check an uploaded data set and store it, byte for byte.

    Raises:
        DataError: it is no data set that can be used.
    """
    _stage(context, "read", 0.0)
    raw = context.store.shelf.upload_path(spec.upload)
    try:
        suffix = _data_format(raw, spec.name)
        path = context.store.shelf.data_file(spec.upload, suffix)
        with replacing(path) as temporary:
            shutil.copyfile(raw, temporary)
            try:
                dataset = load_dataset(temporary)
            except DataError as error:
                raise DataError(str(error).replace(temporary.name, spec.name)) from error
    finally:
        _drop((spec.upload,), context)
    summary = {
        "sha256": spec.upload,
        "name": spec.name,
        "format": suffix,
        "samples": len(dataset.targets),
        "shape": list(dataset.tensors[0].shape[1:]),
        "task": dataset.task.key,
        "classes": dataset.classes,
    }
    return JobResult(summary=summary)


def pair(spec: PairSpec, context: JobContext) -> JobResult:
    """Say whether two stored checkpoints fit, and why not if they do not.

    The summary holds `fits`, `message` (None where they fit) and `same`: whether the two have
    the very same weights.
    """
    a, b = (load_stored(context.store.shelf, sha256) for sha256 in (spec.a, spec.b))
    summary: dict[str, Any] = {"fits": True, "message": None, "same": spec.a == spec.b}
    try:
        check_fit(a, b)
        check_finite(a)
        check_finite(b)
        check_same_graph(a, b)
        check_same_config(a, b)
        source = architecture_source(a, b)
        with about(source):
            recognition = recognise_checkpoint(source, **spec.overrides)
    except (MismatchError, NonFiniteError, UnknownArchitectureError) as error:
        return JobResult(summary={**summary, "fits": False, "message": str(error)})
    return JobResult(summary={**summary, "model": describe_recognition(recognition)})


def _stored(
    read: Callable[[], Checkpoint],
    overrides: Mapping[str, Any],
    uploads: tuple[str, ...],
    context: JobContext,
) -> JobResult:
    """Read, recognise and store a checkpoint; raw uploads are dropped whatever comes of it.

    Weights whose architecture is not known are stored with the reason: another network that
    brings its graph or config may show what they are.
    """
    shelf = context.store.shelf
    _stage(context, "read", 0.0)
    try:
        checkpoint = read()
        _stage(context, "recognise", 0.8)
        check_finite(checkpoint)
        recognition = _recognise(checkpoint, overrides, context)
    except CancelledError:
        raise
    except BasinscopeError:
        _drop(uploads, context)
        raise
    _stage(context, "store", 0.9)
    known = recognition if isinstance(recognition, Recognition) else None
    description = describe(checkpoint, known, None if known else str(recognition))
    if not _is_described(shelf, checkpoint.sha256):
        save_checkpoint(checkpoint, shelf.checkpoint_file(checkpoint.sha256), description)
    _drop(uploads, context)
    return JobResult(summary=description)


def _is_described(shelf: Shelf, sha256: str) -> bool:
    """Whether a checkpoint is stored, with an architecture that was recognised."""
    try:
        return shelf.checkpoint(sha256).description.get("recognition") is not None
    except RunError:
        return False


def _recognise(
    checkpoint: Checkpoint, overrides: Mapping[str, Any], context: JobContext
) -> Recognition | UnknownArchitectureError:
    """Return the architecture, be it by a graph on the shelf that has the same tensors.

    What is no weights at all is refused; what may be weights of an unknown network is returned
    with the reason.
    """
    try:
        with about(checkpoint):
            return recognise_checkpoint(checkpoint, **overrides)
    except UnknownArchitectureError as error:
        info = graph_for(context.store.shelf, checkpoint)
        if info is None:
            return error
    found = recognise_checkpoint(load_stored(context.store.shelf, info.sha256))
    evidence = f"It has the tensors of {info.name}, whose graph is used where the two are compared."
    return replace(found, evidence=(evidence,))


def _read(spec: IngestSpec, context: JobContext) -> Checkpoint:
    if spec.hub is not None:
        return _fetch(spec.hub, context)
    if spec.path is not None:
        path = Path(spec.path)
        reader = read_folder if path.is_dir() else read_beside
        return reader(path, name=spec.name)
    assert spec.upload is not None
    path = context.store.shelf.upload_path(spec.upload)
    return read_checkpoint(path, name=spec.name or f"upload {spec.upload[:12]}")


def _fetch(reference: str, context: JobContext) -> Checkpoint:
    def progress(done: int, total: int) -> None:
        if context.should_stop():
            raise CancelledError("The download was cancelled.")
        _stage(context, "download", 0.8 * done / max(total, 1))

    folder = context.store.home / "hub"
    token = environment_token()  # the server's own: no user's token is stored for a worker
    return fetch_checkpoint(reference, token=token, progress=progress, cache_dir=folder)


def _data_format(raw: Path, name: str) -> str:
    """Tell a text by its name, an `.npz` (a zip archive) from the rest by its first bytes."""
    if name.casefold().endswith(".txt"):
        return "txt"
    with raw.open("rb") as stream:
        return DATA_FORMATS[0] if stream.read(2) == b"PK" else DATA_FORMATS[1]


def _stage(context: JobContext, stage: str, fraction: float) -> None:
    context.progress({"kind": "stage", "stage": stage, "fraction": fraction, "eta": None})


def _drop(uploads: Iterable[str], context: JobContext) -> None:
    """Drop raw uploads, unless the same bytes were brought under a second name."""
    for upload in uploads:
        if not context.store.index.awaits(upload, context.run_id):
            context.store.shelf.discard_upload(upload)
