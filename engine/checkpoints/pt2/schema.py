"""The codes and the version of torch's export schema (`torch/_export/serde/schema.py`)."""

from __future__ import annotations

import torch

from engine.checkpoints.pt2.document import Entry
from engine.errors import CheckpointError

MAJOR, NEWEST_MINOR = 8, 20
"""What torch 2.13 writes, and with it 2.11, 2.12 and 2.14."""

DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
}
DTYPE_CODES = {dtype: code for code, dtype in DTYPES.items()}
MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
STRIDED = 7
DEVICES = frozenset({"cpu", "cuda", "mps", "xpu", "hpu", "xla", "mtia"})


def check_version(document: Entry) -> None:
    """Check that a program is written in the schema that is known here.

    Raises:
        CheckpointError: it is older or newer, with what to do.
    """
    version = document.entry("schema_version")
    major, minor = version.whole("major"), version.whole("minor")
    written_by = document.text("torch_version") if document.has("torch_version") else "unknown"
    version_text = f"schema {major}.{minor}, torch {written_by[:40]!r}"
    if (major, minor) > (MAJOR, NEWEST_MINOR):
        raise CheckpointError(
            f"it was written by a newer torch ({version_text}); schemas up to "
            f"{MAJOR}.{NEWEST_MINOR} are read, so save it with torch 2.13"
        )
    if major < MAJOR:
        raise CheckpointError(
            f"it was written by an older torch ({version_text}); export and save the module again "
            "with torch 2.11 or later"
        )


def dtype_of(code: int, place: str) -> torch.dtype:
    """Return the dtype of a code.

    Raises:
        CheckpointError: it is none that is read.
    """
    if code not in DTYPES:
        raise CheckpointError(f"{place} has the dtype code {code}, which is not read")
    return DTYPES[code]
