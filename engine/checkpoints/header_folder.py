"""What the headers of a model's folder show: its config.json and its weights, whole or in shards.

The counterpart of `folder.py`: the same files are chosen and the same misfits are refused, but
not one tensor's bytes are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.checkpoints.admission import shown
from engine.checkpoints.config_file import CONFIG_NAME, read_config
from engine.checkpoints.folder import (
    INDEX_SUFFIX,
    check_shard,
    choose_weights,
    config_beside,
    folder_files,
    parse_index,
)
from engine.checkpoints.header import (
    NO_CAP,
    Header,
    countable_sizes,
    describe_safetensors,
    named_state,
    read_header_only,
)
from engine.checkpoints.limits import Limits
from engine.checkpoints.read import opened
from engine.errors import CheckpointError


def read_header(path: str | Path, *, name: str | None = None) -> Header:
    """Return what the headers of a file, or of a model's folder, show.

    A config.json in the same folder belongs to it as it does when the whole is read.

    Raises:
        CheckpointError: As `read_folder` and `read_beside`, for what the headers show.
    """
    path = Path(path)
    if not path.is_dir():
        label = path.name if name is None else name
        return described(path, label, config_beside(path))
    label = name or path.resolve().name
    files = folder_files(path, label)
    chosen = choose_weights(files, label)
    config = read_config(path / CONFIG_NAME) if CONFIG_NAME in files else None
    whole = label if chosen.endswith(INDEX_SUFFIX) else f"{label}/{chosen}"
    return described(path / chosen, whole, config)


def described(path: Path, name: str, config: Mapping[str, Any] | None) -> Header:
    """Return what the headers of a weight file, or of the shards of an index, show.

    Args:
        path: The file or the index.
        name: What messages call the whole.
        config: What the config.json beside it says.

    Raises:
        CheckpointError: As `read_checkpoint` and `read_sharded`, for what the headers show.
    """
    if path.name.endswith(INDEX_SUFFIX):
        return _sharded(path, name, config)
    return read_header_only(path, name=name, config=config)


def _sharded(index: Path, name: str, config: Mapping[str, Any] | None) -> Header:
    limits = replace(Limits(), total_bytes=NO_CAP)
    with opened(index, f"{name}/{index.name}") as (file, total):
        where = parse_index(file.read(limits.header_bytes + 1), limits)
    tensors: dict[str, Tensor] = {}
    problem = None
    for shard in sorted(set(where.values())):
        label = f"{name}/{shard}"
        with opened(index.parent / shard, label) as (file, size), countable_sizes():
            held, cut = describe_safetensors(file, size, limits)
            check_shard(held, where, shard)
        problem = problem or (cut and f"{shard}: {cut}")
        tensors |= held
        total += size
    if missing := [tensor for tensor in where if tensor not in tensors]:
        raise CheckpointError(f"{name}: no shard holds {shown(missing[0])}, which the index names")
    named, notes = named_state(tensors, limits)
    notes = (f"The weights lie in {len(set(where.values()))} shards.", *notes)
    return Header(named, name, "safetensors", total, notes, problem, config)
