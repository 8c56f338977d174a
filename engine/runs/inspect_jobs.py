"""Jobs of Inspect: headers in the lane that reads files, the rest in the one that computes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from engine import __version__
from engine.checkpoints import Header, read_bundle_header, read_header, read_header_only
from engine.errors import RunError
from engine.runs.context import JobContext, JobResult
from engine.runs.files_spec import FilesHeadersSpec
from engine.runs.inspect_spec import HeadersSpec, InspectSpec, SelfTestSpec
from engine.runs.staging import staged
from engine.runs.stored import load_stored
from engine.studies.inspect import inspect_header, inspect_network
from engine.studies.self_test import self_test as study_self_test


def headers(spec: HeadersSpec, context: JobContext) -> JobResult:
    """Say what a file's headers show.

    Raises:
        CheckpointError: the file cannot be read at all.
    """
    if spec.upload is not None:
        path = context.store.shelf.upload_path(spec.upload)
        header = read_header_only(path, name=spec.name)
    else:
        header = read_header(Path(str(spec.path)), name=spec.name)
    return _of_header(header, spec.overrides, context)


def files_headers(spec: FilesHeadersSpec, context: JobContext) -> JobResult:
    """Say what the headers of the uploaded files of one model show.

    Raises:
        CheckpointError: the files are no model.
    """
    with staged(spec.files, context.store.shelf) as folder:
        return _of_header(read_bundle_header(folder), spec.overrides, context)


def inspect(spec: InspectSpec, context: JobContext) -> JobResult:
    """Say what a stored network is; see `engine.studies.inspect`."""
    checkpoint = load_stored(context.store.shelf, spec.checkpoint)
    found = inspect_network(checkpoint, overrides=spec.overrides, progress=context.progress)
    return JobResult(summary=found.summary, provenance=_provenance(found.provenance))


def self_test(spec: SelfTestSpec, context: JobContext) -> JobResult:
    """Run the planted-permutation self-test; see `engine.studies.self_test`.

    Raises:
        RunError: the network's architecture is unknown.
    """
    checkpoint = load_stored(context.store.shelf, spec.checkpoint)
    known = inspect_network(checkpoint, overrides=spec.overrides, values=False)
    if known.program is None or known.symmetry is None:
        raise RunError(str(known.summary["problem"]))
    found = study_self_test(
        known.program,
        known.symmetry,
        checkpoint.tensors,
        seed=spec.seed,
        restarts=spec.restarts,
        progress=context.progress,
        should_stop=context.should_stop,
    )
    summary = {**found.summary, "checkpoint": known.summary["checkpoint"]}
    return JobResult(
        summary=summary, provenance=_provenance({"seconds": {"self_test": found.seconds}})
    )


def _of_header(header: Header, overrides: Mapping[str, Any], context: JobContext) -> JobResult:
    found = inspect_header(header, overrides=overrides, progress=context.progress)
    return JobResult(summary=found.summary, provenance=_provenance(found.provenance))


def _provenance(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "torch": torch.__version__,
        "basinscope": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
