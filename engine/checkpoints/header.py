"""What a file holds, from its headers alone: names, shapes and dtypes, not one tensor's bytes.

A `.safetensors` is described by the JSON at its start, an `.npz` by a few bytes before each
array, a `.pt` by the pickle beside its storages, a `.pt2` by its JSON (with the small constants
of its graph), so that this is as quick for gigabytes as for kilobytes. The caps on the
description hold; the one on the tensors' bytes does not, as none is read. (The flat files of
PyTorch before 1.6 are read up to the header's cap: their pickles have no length.) Says nothing of
values: NaN, dead units and proofs need the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from engine.checkpoints.admission import (
    ALLOWED_DTYPES,
    SAFETENSORS_DTYPES,
    STORAGE_DTYPES,
    check_name,
    check_shape,
    dtype_refused,
    reason,
)
from engine.checkpoints.formats import Format, detect_format
from engine.checkpoints.limits import Limits
from engine.checkpoints.names import own_names
from engine.checkpoints.npz_file import plan_npz
from engine.checkpoints.pickle_plan import PlannedTensor
from engine.checkpoints.pt2 import plan_archive
from engine.checkpoints.read import exported_parts, opened
from engine.checkpoints.safetensors_file import (
    check_cover,
    check_entries,
    read_header,
    read_metadata,
)
from engine.checkpoints.stated import stated_config
from engine.checkpoints.torch_file import check_plan, plan_torch_flat, plan_torch_zip
from engine.checkpoints.wrappings import find_state
from engine.errors import CheckpointError

NO_CAP = 1 << 60


@dataclass(frozen=True, eq=False)
class Header:
    """What one file says of its tensors.

    Args:
        tensors: By name after unwrapping, on the device "meta": shapes and dtypes only.
        name: What the user calls the file.
        format: "safetensors", "npz", "torch" or "pt2".
        file_bytes: Size of the file.
        notes: One sentence for each wrapping that was undone.
        problem: Why the whole file could not be read although its header can: it is cut off,
            say. None where the header fits the file.
        config: As in `Checkpoint`: of the config.json beside it, or stated by the file itself.
        graph: As in `Checkpoint`: the architecture that a `.pt2` carries.
    """

    tensors: Mapping[str, Tensor]
    name: str
    format: str
    file_bytes: int
    notes: tuple[str, ...] = ()
    problem: str | None = None
    config: Mapping[str, Any] | None = None
    graph: bytes | None = field(default=None, repr=False)


def read_header_only(
    path: str | Path,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    config: Mapping[str, Any] | None = None,
) -> Header:
    """Return what a file's headers say of its tensors.

    Args:
        path: A `.safetensors`, `.npz`, `torch.save` or `.pt2` file, whatever its extension.
        name: What messages and results call it; the file's own name unless given.
        limits: The caps; that on the tensors' bytes is not applied.
        config: What the config.json beside it says; else what the file states of itself.

    Raises:
        CheckpointError: As `read_checkpoint`, for what the headers show.
    """
    path = Path(path)
    caps = replace(limits or Limits(), total_bytes=NO_CAP)
    label = path.name if name is None else name
    with opened(path, label) as (file, size), countable_sizes():
        kind = detect_format(file, size)
        if kind is Format.PT2:
            tensors, notes, graph = exported_parts(plan_archive(file, size, caps))
            return Header(tensors, label, kind.title, size, notes, graph=graph)
        content, problem = _describe(kind, file, size, caps)
        tensors, notes = named_state(content, caps)
        if config is None and kind is Format.SAFETENSORS:
            config = stated_config(read_metadata(file, size, caps))
        return Header(tensors, label, kind.title, size, notes, problem, config)


@contextmanager
def countable_sizes() -> Iterator[None]:
    """Refuse sizes whose product no machine counts, in a sentence."""
    try:
        yield
    except (RuntimeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"its sizes make no tensors ({reason(error)})") from error


def named_state(content: Any, limits: Limits) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors in a file's content under their own names, and what was undone."""
    state, found, lightning = find_state(content)
    state = {check_name(key, limits): value for key, value in state.items()}
    tensors, undone = own_names(state, lightning)
    return tensors, (*found, *undone)


def _describe(kind: Format, file: BinaryIO, size: int, limits: Limits) -> tuple[Any, str | None]:
    """Return the file's content with meta tensors, and why its bytes do not fit it."""
    if kind is Format.NPZ:
        return plan_npz(file, size, limits), None
    if kind is Format.SAFETENSORS:
        return describe_safetensors(file, size, limits)
    plan_file = plan_torch_zip if kind is Format.TORCH_ZIP else plan_torch_flat
    plan = plan_file(file, size, limits)
    check_plan(plan, limits)
    return _with_tensors(plan.value, limits, {}), None


def describe_safetensors(
    file: BinaryIO, size: int, limits: Limits
) -> tuple[dict[str, Tensor], str | None]:
    """Return a file's meta tensors by their names in it, and why its bytes do not fit them."""
    header, data_start = read_header(file, size, limits)
    spans = check_entries(header, limits)
    problem = None
    try:
        check_cover(spans, size - data_start, limits)
    except CheckpointError as error:
        problem = str(error)
    entries = {name: entry for name, entry in header.items() if isinstance(entry, dict)}
    return {
        name: _meta(name, entry["shape"], SAFETENSORS_DTYPES[entry["dtype"]], limits)
        for name, entry in entries.items()
    }, problem


def _with_tensors(value: Any, limits: Limits, seen: dict[int, Any]) -> Any:
    """Return what a pickle plans with meta tensors in the places of its own.

    `seen` holds what was made of each mapping: one may stand in many places, or in itself.
    """
    if isinstance(value, PlannedTensor):
        dtype = STORAGE_DTYPES[value.storage.kind]
        return _meta(value.name, value.shape, dtype, limits)
    if not isinstance(value, dict):
        return value
    if id(value) not in seen:
        made = seen[id(value)] = {}
        made.update((key, _with_tensors(item, limits, seen)) for key, item in value.items())
    return seen[id(value)]


def _meta(name: str, shape: Any, dtype: torch.dtype, limits: Limits) -> Tensor:
    if dtype not in ALLOWED_DTYPES:
        raise dtype_refused(name, dtype)
    return torch.empty(check_shape(name, shape, limits), dtype=dtype, device="meta")
