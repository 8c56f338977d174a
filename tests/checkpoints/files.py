"""Builders of good and bad files, shared by the tests of the readers."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from typing import Any

import torch

TENSORS = {
    "weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "brain": torch.tensor([[0.25]], dtype=torch.bfloat16),
    "double": torch.tensor([1e-300], dtype=torch.float64),
    "num_batches_tracked": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
}


def safetensors_bytes(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a file with any header, as JSON unless it is bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, Any]:
    """Return one header entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def torch_bytes(content: object, flat: bool = False) -> bytes:
    """Return what `torch.save` writes, in the zip or the older flat layout."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not flat)
    return buffer.getvalue()


def zip_bytes(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of `members`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """Return the members of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed_pickle(content: object, *changes: tuple[bytes, bytes]) -> bytes:
    """Return a torch zip of `content` whose pickle has bytes replaced; each must occur."""
    parts = members(torch_bytes(content))
    for old, new in changes:
        assert old in parts["archive/data.pkl"]
        parts["archive/data.pkl"] = parts["archive/data.pkl"].replace(old, new)
    return zip_bytes(parts)


def pickle_in_zip(data: bytes, **others: bytes) -> bytes:
    """Return a torch zip whose pickle is `data`."""
    inner = {f"archive/{name}": value for name, value in others.items()}
    return zip_bytes({"archive/data.pkl": data, "archive/version": b"3\n", **inner})


class Attack:
    """Pickles to a call of `function(*arguments)` when it is read back."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def attack_pickle(function: Any, *arguments: Any, protocol: int = 2) -> bytes:
    """Return a pickle that calls `function` when it is read back."""
    return pickle.dumps({"weight": Attack(function, *arguments)}, protocol)
