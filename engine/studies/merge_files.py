"""A new checkpoint in the format of others: safetensors, a state dict of torch, npz."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import write_checkpoint
from engine.errors import CheckpointError

SUFFIXES = {"safetensors": ".safetensors", "torch": ".pt", "npz": ".npz", "pt2": ".safetensors"}
"""Format of an input → suffix of the merged file; a graph is not written again."""
TORCH_SUFFIXES = (".pt", ".pth", ".bin")


def check_suffix(path: str | Path) -> None:
    """Raise CheckpointError unless a file of this name can be written."""
    suffix = Path(path).suffix
    if suffix not in (".safetensors", ".npz", *TORCH_SUFFIXES):
        raise CheckpointError(
            f"{path}: a checkpoint is written as .safetensors, .pt, .pth, .bin or .npz, not as "
            f"'{suffix}'; name such a file"
        )


def check_fits(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise CheckpointError unless tensors can be written to a file of this name."""
    check_suffix(path)
    if Path(path).suffix != ".npz":
        return
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bfloat16:
            raise CheckpointError(
                f"{Path(path).name}: {name} is in bfloat16, which .npz does not know; write "
                ".safetensors"
            )


def write_like(
    tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors in the format that the file's suffix says, whole or not at all.

    Args:
        tensors: by name.
        path: ends in .safetensors, .pt, .pth, .bin or .npz.
        metadata: kept in a safetensors header; the other formats have no place for it.

    Raises:
        CheckpointError: another suffix, or a dtype that the format does not know.
        OSError: the file cannot be written.
    """
    path = Path(path)
    check_fits(tensors, path)
    if path.suffix == ".safetensors":
        write_checkpoint(tensors, path, metadata)
        return
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}{path.suffix}")
    try:
        if path.suffix == ".npz":
            arrays = {name: tensor.numpy() for name, tensor in plain.items()}
            np.savez(temporary, allow_pickle=False, **arrays)
        else:
            torch.save(plain, temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
