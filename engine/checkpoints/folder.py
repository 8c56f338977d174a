"""A folder as Hugging Face saves a model: weights, whole or in shards, and config.json beside them.

A shard index names, for every tensor, the file of the same folder that holds it. Shards are
safetensors files; every tensor must be where the index says, and none may be elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.checkpoints.admission import check_name, reason, shown
from engine.checkpoints.checkpoint import Checkpoint, fingerprint
from engine.checkpoints.config_file import CONFIG_NAME, read_config
from engine.checkpoints.limits import Limits
from engine.checkpoints.names import unwrap
from engine.checkpoints.read import opened, read_checkpoint
from engine.checkpoints.safetensors_file import read_safetensors
from engine.errors import CheckpointError

WHOLE = "model.safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
SUFFIXES = (".safetensors", ".npz", ".pt", ".pth", ".th", ".bin", ".ckpt", ".pt2")
MOST_SHARDS = 1024


def read_folder(
    path: str | Path, *, name: str | None = None, limits: Limits | None = None
) -> Checkpoint:
    """Return the checkpoint in a folder, with what its config.json says.

    Args:
        path: The folder.
        name: What messages and results call it; the folder's own name unless given.
        limits: The caps; they hold for all shards together.

    Raises:
        CheckpointError: It holds no weights, several weight files, or shards that do not fit.
        LimitError: It declares more than `limits` allow.
    """
    path, limits = Path(path), limits or Limits()
    name = name or path.resolve().name
    files = folder_files(path, name)
    chosen = choose_weights(files, name)
    config = read_config(path / CONFIG_NAME) if CONFIG_NAME in files else None
    if chosen.endswith(INDEX_SUFFIX):
        return read_sharded(path / chosen, name, limits, config)
    return read_checkpoint(path / chosen, name=f"{name}/{chosen}", limits=limits, config=config)


def read_beside(path: Path, *, name: str | None = None, limits: Limits | None = None) -> Checkpoint:
    """Return the checkpoint in a file, with what the config.json in its folder says."""
    config = config_beside(path)
    if path.name.endswith(INDEX_SUFFIX):
        return read_sharded(path, name or path.name, limits or Limits(), config)
    return read_checkpoint(path, name=name, limits=limits, config=config)


def folder_files(path: Path, name: str) -> list[str]:
    """Return the names of the files in a folder, in order.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        return sorted(item.name for item in path.iterdir() if item.is_file())
    except OSError as error:
        raise CheckpointError(f"{name}: it cannot be read ({error.strerror or error})") from error


def config_beside(path: Path) -> Mapping[str, Any] | None:
    """Return what the config.json in a weight file's folder says, None where there is none."""
    beside = path.parent / CONFIG_NAME
    kept = path.name.endswith((".safetensors", ".bin", INDEX_SUFFIX)) and beside.is_file()
    return read_config(beside) if kept else None


def choose_weights(files: Iterable[str], name: str) -> str:
    """Return which file of a folder holds the weights, or the index of their shards.

    Raises:
        CheckpointError: None does, or several do.
    """
    files = list(files)
    if WHOLE in files:
        return WHOLE
    weights = [file for file in files if file.endswith(SUFFIXES)]
    if indices := [file for file in files if file.endswith(INDEX_SUFFIX)]:
        return indices[0]
    if len(weights) == 1:
        return weights[0]
    if weights:
        raise CheckpointError(
            f"{name}: it is a folder with several weight files; name one of them: "
            f"{', '.join(weights[:8])}"
        )
    raise CheckpointError(
        f"{name}: it is a folder without weights; a model's folder holds {WHOLE} and {CONFIG_NAME}"
    )


def parse_index(data: bytes, limits: Limits) -> Mapping[str, str]:
    """Return tensor -> shard of an index.

    Raises:
        CheckpointError: It is no index, or names files outside its folder.
        LimitError: It is too large or names too many tensors.
    """
    limits.check_header(len(data), "index")
    try:
        found = json.loads(data)["weight_map"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise CheckpointError(f"it is no index of shards ({reason(error)})") from error
    if not isinstance(found, dict) or not found:
        raise CheckpointError("its weight_map names no tensors")
    limits.check_count(len(found))
    for tensor, shard in found.items():
        check_name(tensor, limits)
        plain = isinstance(shard, str) and shard.endswith(".safetensors")
        if not plain or shard != Path(shard).name or "\\" in shard:
            raise CheckpointError(
                f"{shown(tensor)} is in {shown(str(shard))}, which is no safetensors file "
                "beside the index"
            )
    if len(set(found.values())) > MOST_SHARDS:
        raise CheckpointError(f"it names more than {MOST_SHARDS} shards")
    return found


def read_sharded(
    index: Path,
    name: str,
    limits: Limits,
    config: Mapping[str, Any] | None = None,
    locate: Callable[[str], Path] | None = None,
) -> Checkpoint:
    """Return the checkpoint whose shards an index names.

    Args:
        index: The index file.
        name: What messages call the whole.
        limits: The caps, for all shards together.
        config: What the config.json beside it says.
        locate: Shard -> its path; beside the index unless given.

    Raises:
        CheckpointError: A shard is missing, or does not hold what the index says.
        LimitError: All shards together are larger than the caps.
    """
    with opened(index, f"{name}/{index.name}") as (file, _):
        where = parse_index(file.read(limits.header_bytes + 1), limits)
    tensors: dict[str, Tensor] = {}
    total = 0
    for shard in sorted(set(where.values())):
        path = index.parent / shard if locate is None else locate(shard)
        with opened(path, f"{name}/{shard}") as (file, size):
            total += size
            limits.check_total(total - limits.header_bytes, "with the shards before it it takes")
            held = read_safetensors(file, size, path, limits)
            check_shard(held, where, shard)
        tensors |= held
    missing = [tensor for tensor in where if tensor not in tensors]
    if missing:
        raise CheckpointError(f"{name}: no shard holds {shown(missing[0])}, which the index names")
    unwrapped, notes = unwrap(tensors, limits)
    count = len(set(where.values()))
    notes = (f"The weights were read from {count} shards.", *notes)
    sha256 = fingerprint(unwrapped, config=config)
    return Checkpoint(unwrapped, sha256, name, "safetensors", notes, config=config)


def check_shard(held: Mapping[str, Tensor], where: Mapping[str, str], shard: str) -> None:
    """Check that a shard holds what its index says.

    Raises:
        CheckpointError: It holds a tensor that the index places elsewhere, or nowhere.
    """
    for tensor in held:
        if where.get(tensor) != shard:
            told = where.get(tensor)
            place = f"the index places in {shown(told)}" if told else "the index does not name"
            raise CheckpointError(f"it holds {shown(tensor)}, which {place}")
