"""Files that are often taken for checkpoints, and ones told by their bytes alone."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import read_checkpoint_bytes
from engine.checkpoints.formats import Format, detect_format
from engine.errors import CheckpointError
from tests.checkpoints.files import torch_bytes, zip_bytes


def tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    return buffer.getvalue()


def npy_bytes():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


OTHERS = {
    "empty": (b"", r"it is empty \(0 bytes\)"),
    "page": (b"\n<!DOCTYPE html>\n<html>", "it is a web page, not the file"),
    "xml": (b"<?xml version='1.0'?><Error>", "it is a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "run `git lfs pull`"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 20, r"HDF5 \(Keras\) file"),
    "npy": (npy_bytes(), r"a single \.npy array"),
    "gguf": (b"GGUF\3\0\0\0" + b"\0" * 20, "GGUF file of quantised weights"),
    "gzip": (gzip.compress(b"x" * 50), "compressed with gzip; unpack it first"),
    "bzip2": (b"BZh91AY&SY" + b"\0" * 20, "compressed with bzip2"),
    "xz": (b"\xfd7zXZ\x00" + b"\0" * 20, "compressed with xz"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\0" * 20, "compressed with zstd"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 20, "a 7z archive"),
    "pdf": (b"%PDF-1.7\n" + b"\0" * 20, "it is a PDF document"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "it is a PNG image"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"\0" * 20, "it is a JPEG image"),
    "tar": (tar_bytes(), r"it is a tar archive(.|\n)*two lines convert it"),
    "index": (b'{"weight_map": {"w": "model-00001"}}', "the index of a sharded checkpoint"),
    "json": (b'{"a": "b", "c": [1, 2, 3]}', "it is JSON text, not tensors"),
    "pickle": (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}.....", "a bare Python pickle"),
    "short": (b"abc", "only 3 bytes, too few"),
    "noise": (bytes(range(1, 250)), r"none of the files that are read: \.safetensors"),
    "other zip": (zip_bytes({"readme.txt": b"hello"}), "neither tensors nor arrays"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_checkpoint_is_named(kind):
    data, message = OTHERS[kind]
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint_bytes(data, "model.pt")


def test_the_kind_is_told_by_bytes():
    w = {"w": torch.ones(1)}
    for data, expected in (
        (save(w), Format.SAFETENSORS),
        (zip_bytes({"w.npy": npy_bytes()}), Format.NPZ),
        (torch_bytes(w), Format.TORCH_ZIP),
        (torch_bytes(w, flat=True), Format.TORCH_FLAT),
    ):
        assert detect_format(io.BytesIO(data), len(data)) is expected
    assert Format.TORCH_FLAT.title == "torch"
