"""Jobs that turn what a user brings into stored, content-addressed files.

This is the only place where a stranger's file is read, and it runs in the worker of the
lane "files": a file that takes its reader down takes no other run with it. The raw upload is
dropped once it is converted or refused.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.checkpoints import (
    Checkpoint,
    about,
    check_finite,
    check_fit,
    fetch_checkpoint,
    read_beside,
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
from engine.runs.shelf import DATA_FORMATS
from engine.runs.spec import IngestDataSpec, IngestSpec, PairSpec
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
    _stage(context, "read", 0.0)
    try:
        checkpoint = _read(spec, context)
        _stage(context, "recognise", 0.8)
        check_finite(checkpoint)
        with about(checkpoint):
            recognition = _recognise(checkpoint, spec, context)
    except CancelledError:
        raise
    except BasinscopeError:
        _drop(spec.upload, context)
        raise
    _stage(context, "store", 0.9)
    description = describe(checkpoint, recognition)
    path = context.store.shelf.checkpoint_file(checkpoint.sha256)
    if not context.store.shelf.has_checkpoint(checkpoint.sha256):
        save_checkpoint(checkpoint, path, description)
    _drop(spec.upload, context)
    return JobResult(summary=description)


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
        _drop(spec.upload, context)
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
    except (MismatchError, NonFiniteError) as error:
        return JobResult(summary={**summary, "fits": False, "message": str(error)})
    source = architecture_source(a, b)
    with about(source):
        recognition = recognise_checkpoint(source, **spec.overrides)
    return JobResult(summary={**summary, "model": describe_recognition(recognition)})


def _recognise(checkpoint: Checkpoint, spec: IngestSpec, context: JobContext) -> Recognition:
    """Return the architecture, be it by a graph on the shelf that has the same tensors."""
    try:
        return recognise_checkpoint(checkpoint, **spec.overrides)
    except UnknownArchitectureError:
        info = graph_for(context.store.shelf, checkpoint)
        if info is None:
            raise
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
    return fetch_checkpoint(reference, progress=progress, cache_dir=folder)


def _data_format(raw: Path, name: str) -> str:
    """Tell a text by its name, an `.npz` (a zip archive) from the rest by its first bytes."""
    if name.casefold().endswith(".txt"):
        return "txt"
    with raw.open("rb") as stream:
        return DATA_FORMATS[0] if stream.read(2) == b"PK" else DATA_FORMATS[1]


def _stage(context: JobContext, stage: str, fraction: float) -> None:
    context.progress({"kind": "stage", "stage": stage, "fraction": fraction, "eta": None})


def _drop(upload: str | None, context: JobContext) -> None:
    """Drop a raw upload, unless the same bytes were brought under a second name."""
    if upload is not None and not context.store.index.awaits(upload, context.run_id):
        context.store.shelf.discard_upload(upload)
