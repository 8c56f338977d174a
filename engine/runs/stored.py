"""Stored checkpoints as tensors: what `engine.runs.shelf` keeps, written and read in workers.

A stored checkpoint carries its description in its own header; the tensors, and the graph where
there is one, are verified against their fingerprint each time they are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.checkpoints import Checkpoint, fingerprint, write_checkpoint
from engine.errors import RunError
from engine.families import Recognition
from engine.runs.files import write_bytes
from engine.runs.shelf import METADATA_KEY, CheckpointInfo, Shelf

MOST_TENSORS_LISTED = 2000


def describe(
    checkpoint: Checkpoint, recognition: Recognition | None, problem: str | None = None
) -> dict[str, Any]:
    """Return the JSON values that say what a checkpoint is; the result of an ingest run.

    Args:
        checkpoint: the checkpoint.
        recognition: its architecture; None where that is not known.
        problem: why it is not.
    """
    listed = list(checkpoint.tensors.items())[:MOST_TENSORS_LISTED]
    return {
        "sha256": checkpoint.sha256,
        "name": checkpoint.name,
        "format": checkpoint.format,
        "notes": list(checkpoint.notes),
        "origin": dict(checkpoint.origin),
        "recognition": None if recognition is None else describe_recognition(recognition),
        "graph": checkpoint.graph is not None,
        "config": None if checkpoint.config is None else dict(checkpoint.config),
        "tensor_count": len(checkpoint.tensors),
        "tensors": [
            {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype)[6:]}
            for name, tensor in listed
        ],
        **({} if problem is None else {"problem": problem}),
    }


def describe_recognition(recognition: Recognition) -> dict[str, Any]:
    """Return an architecture as JSON values."""
    return {
        "family": recognition.family,
        "title": recognition.title,
        "evidence": list(recognition.evidence),
        "assumptions": list(recognition.assumptions),
        "input_shape": list(recognition.input_shape),
        "input_dtype": recognition.input_dtype,
        "classes": recognition.classes,
        "parameters": recognition.parameters,
    }


def save_checkpoint(checkpoint: Checkpoint, path: Path, description: Mapping[str, Any]) -> None:
    """Write a checkpoint with its description, as the shelf and `assets/demo` keep it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.graph is not None:  # before the weights, by which a checkpoint is found
        write_bytes(path.with_suffix(".graph.json"), checkpoint.graph)
    metadata = {METADATA_KEY: json.dumps(description, sort_keys=True)}
    write_checkpoint(checkpoint.tensors, path, metadata)


def graph_for(shelf: Shelf, checkpoint: Checkpoint) -> CheckpointInfo | None:
    """Return a stored checkpoint that came with its graph and has the same names and shapes."""
    listed = _shapes(checkpoint)
    for info in shelf.checkpoints():
        found = info.description
        if not found.get("graph") or found.get("tensor_count") != len(checkpoint.tensors):
            continue
        if {entry["name"]: entry["shape"] for entry in found.get("tensors", ())} == listed:
            return info
    return None


def _shapes(checkpoint: Checkpoint) -> dict[str, list[int]]:
    """Return the shapes of the tensors that a description lists."""
    names = list(checkpoint.tensors)
    if len(names) > MOST_TENSORS_LISTED:
        return {}
    return {name: list(checkpoint.tensors[name].shape) for name in names}


def as_listed(shelf: Shelf, sha256: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors in the order of the file that a stored checkpoint came from."""
    listed = shelf.checkpoint(sha256).description.get("tensors", ())
    places = {entry["name"]: place for place, entry in enumerate(listed)}
    return dict(sorted(tensors.items(), key=lambda one: places.get(one[0], len(places))))


def load_stored(shelf: Shelf, sha256: str) -> Checkpoint:
    """Return a stored or built-in checkpoint.

    Raises:
        RunError: it is not stored here, or its file is damaged.
    """
    info = shelf.checkpoint(sha256)
    try:
        tensors = load_file(info.path)
        graph = shelf.graph_file(sha256).read_bytes() if info.description.get("graph") else None
    except (SafetensorError, OSError) as error:
        raise RunError(f"The stored checkpoint {info.name} is damaged; upload it again.") from error
    config = info.description.get("config")
    if fingerprint(tensors, graph, config) != sha256:
        raise RunError(f"The stored checkpoint {info.name} has changed; upload it again.")
    parts = (info.name, info.format, info.notes, info.origin)
    return Checkpoint(tensors, sha256, *parts, graph, config)
