"""A plain text as data for a byte-level language model: every byte is a token.

The text is cut into consecutive sequences of the model's length; each position is asked for the
byte that follows. No tokeniser is here: a model with a vocabulary of its own needs its own
tokens, stored as whole numbers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from engine.data.dataset import RawData
from engine.errors import DataError

LENGTH = 64
"""Bytes per sequence where no model says how many it takes."""

BYTES = 256
MOST_BYTES = 64 << 20


def read_text(path: Path, length: int | None = None) -> RawData:
    """Return a text as sequences of bytes and, as targets, the bytes that follow.

    Args:
        path: the file; any encoding, since bytes are taken as they are.
        length: bytes per sequence; None takes LENGTH.

    Raises:
        DataError: the file is not there, too large, or shorter than one sequence.
    """
    size = LENGTH if length is None else length
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"the text is larger than {MOST_BYTES >> 20} MiB; bring a part of it.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the text cannot be read ({error.strerror}).") from error
    count = (len(content) - 1) // size
    if count < 1:
        raise DataError(
            f"the text has {len(content)} bytes; at least {size + 1} are needed, a sequence of "
            f"{size} and the byte after it."
        )
    tokens = torch.frombuffer(bytearray(content), dtype=torch.uint8).long()
    inputs, targets = (tokens[k : k + count * size].reshape(count, size) for k in (0, 1))
    digest = hashlib.sha256(content).hexdigest()
    source = hashlib.sha256(f"{digest}|bytes|{size}".encode()).hexdigest()
    return RawData(inputs.clone(), targets.clone(), int(tokens.max()) + 1, source)


def refuse_other_vocabularies(path: Path, vocabulary: int) -> None:
    """Raise DataError where bytes are not a model's own tokens."""
    if vocabulary > BYTES:
        raise DataError(
            f"{path.name} is read as bytes, but the model has a vocabulary of {vocabulary}, not "
            f"{BYTES}; tokenise the text with the model's tokeniser and bring .npz or "
            ".safetensors with `inputs` and `targets` [N, T]."
        )
