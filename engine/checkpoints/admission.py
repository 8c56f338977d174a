"""What one tensor from outside may be: its dtype, name and shape.

Every reader asks here before it allocates, so that all formats refuse the same things in the
same words. Not handled: quantised, sparse, complex and 8-bit floating tensors, because no
later stage gives them a meaning.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError, LimitError

#: Name of each allowed dtype in a safetensors header.
SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

#: Name of each allowed dtype's storage class in a pickle written by `torch.save`.
STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

#: Allowed numpy dtypes as (kind, bytes per element).
NUMPY_KINDS = frozenset(
    {("f", 8), ("f", 4), ("f", 2), ("i", 8), ("i", 4), ("i", 2), ("i", 1), ("u", 1), ("b", 1)}
)

ALLOWED_DTYPES = frozenset(SAFETENSORS_DTYPES.values())
ALLOWED_WORDS = "float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8 and bool"

_CONTROL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def shown(name: object) -> str:
    """Return `name` quoted, escaped and shortened, so that a message stays one readable line."""
    try:
        text = repr(name) if isinstance(name, str) and not _has_control(name) else ascii(name)
    except (RecursionError, ValueError):
        return f"a {type(name).__name__} that cannot be shown"
    return text if len(text) <= 80 else f"{text[:60]}…{text[-16:]}"


def reason(error: BaseException) -> str:
    """Return the first line of a library's message, short and printable: it may quote the file."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    line = "".join(character if character.isprintable() else "�" for character in line)
    return line if len(line) <= 160 else f"{line[:157]}…"


def dtype_refused(name: str, dtype: object) -> CheckpointError:
    """Return the error for a tensor whose dtype is not allowed."""
    return CheckpointError(
        f"tensor {shown(name)} has dtype {dtype}; only {ALLOWED_WORDS} are read, "
        "so convert it before saving"
    )


def check_name(name: object, limits: Limits) -> str:
    """Return `name` when it can stand as a tensor's name.

    Raises:
        CheckpointError: It is no text, empty, or holds control characters.
        LimitError: It is longer than `limits.name_length`.
    """
    if not isinstance(name, str):
        raise CheckpointError(
            f"a tensor is named by {shown(name)}, a {type(name).__name__}; names must be text"
        )
    if not name:
        raise CheckpointError("a tensor has an empty name")
    if len(name) > limits.name_length:
        raise LimitError(
            f"the tensor name {shown(name)} has {len(name):,} characters, more than the limit "
            f"of {limits.name_length:,}"
        )
    if _has_control(name):
        raise CheckpointError(f"the tensor name {shown(name)} holds control characters")
    return name


def check_shape(name: object, shape: Sequence[object], limits: Limits) -> tuple[int, ...]:
    """Return `shape` as plain sizes.

    Raises:
        CheckpointError: A size is no integer or is negative.
        LimitError: The tensor has more axes than `limits.dimensions`.
    """
    if len(shape) > limits.dimensions:
        raise LimitError(
            f"tensor {shown(name)} has {len(shape)} axes, more than the limit of "
            f"{limits.dimensions}"
        )
    sizes = tuple(size for size in shape if type(size) is int and 0 <= size < 1 << 63)
    if len(sizes) != len(shape):
        raise CheckpointError(
            f"tensor {shown(name)} has the shape {shown(list(shape))}, which is no list of sizes"
        )
    return sizes


def check_tensor(name: str, tensor: Tensor, limits: Limits) -> Tensor:
    """Return `tensor` detached, contiguous and holding no more memory than its own elements.

    Raises:
        CheckpointError: It is not dense, not on the CPU, of another dtype, or shows more
            elements than its storage has.
    """
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.layout != torch.strided:
        raise CheckpointError(f"tensor {shown(name)} is not dense; save tensor.to_dense()")
    if tensor.dtype not in ALLOWED_DTYPES:
        raise dtype_refused(name, tensor.dtype)
    if tensor.device.type != "cpu":
        raise CheckpointError(f"tensor {shown(name)} is on {tensor.device}, not in the file")
    needed = byte_size(check_shape(name, tuple(tensor.shape), limits), tensor.dtype)
    held = tensor.untyped_storage().nbytes()
    if needed > held:
        raise expanded(name, needed, held)
    plain = tensor.detach()
    if plain.is_contiguous() and needed == held:
        return plain
    return plain.clone(memory_format=torch.contiguous_format)


def expanded(name: str, needed: int, held: int) -> CheckpointError:
    """Return the error for a tensor that shows more bytes than its storage holds."""
    return CheckpointError(
        f"tensor {shown(name)} shows {needed:,} bytes of a storage that holds {held:,}: it is an "
        "expanded view; save tensor.clone() instead"
    )


def byte_size(shape: Sequence[int], dtype: torch.dtype) -> int:
    """Return the bytes that a dense tensor of `shape` and `dtype` takes, as an exact integer."""
    return math.prod(shape) * dtype.itemsize


def _has_control(name: str) -> bool:
    return any(unicodedata.category(character) in _CONTROL for character in name)
