"""Writing tensors as safetensors: whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from engine.checkpoints.admission import ALLOWED_DTYPES, check_name, dtype_refused
from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError


def write_checkpoint(
    tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` to the safetensors file `path`, replacing it in one step.

    The bytes go to a temporary name beside it, are flushed to the disk and renamed, so that a
    reader (or a crash) never meets half a file.

    Args:
        tensors: By name, of dtypes that `read_checkpoint` takes.
        path: Where to; its folder must exist.
        metadata: Text to keep in the file's header.

    Raises:
        CheckpointError: A name or dtype that could not be read again, or `path` is a folder or
            a device.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        # Renamed over, a device such as /dev/full would be lost to the whole machine.
        raise CheckpointError(f"{path} is no regular file; name the file to write")
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain[check_name(name, Limits())] = own = _plain(name, tensor, seen)
        seen.add(own.data_ptr())
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}")
    try:
        temporary.touch(exist_ok=False)
        usual = temporary.stat().st_mode
        save_file(plain, temporary, dict(metadata) if metadata else None)
        # save_file makes files that only their owner can read.
        temporary.chmod(usual)
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def _plain(name: str, tensor: Tensor, taken: Collection[int]) -> Tensor:
    """Return the tensor in memory of its own: the format knows no shared storage."""
    if tensor.dtype not in ALLOWED_DTYPES:
        raise dtype_refused(name, tensor.dtype)
    plain = tensor.detach().cpu().contiguous()
    alone = plain.untyped_storage().nbytes() == plain.numel() * plain.itemsize
    return plain if alone and plain.data_ptr() not in taken else plain.clone()


def _flush(path: Path) -> None:
    """Ask the operating system to put the file (or folder entry) on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
