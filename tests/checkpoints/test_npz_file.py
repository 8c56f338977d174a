"""Hostile and broken `.npz` files, each refused with its own message."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from engine.checkpoints import Limits, read_checkpoint_bytes
from engine.errors import CheckpointError, LimitError
from tests.checkpoints.files import zip_bytes


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(shape, descr="'<f4'", data=b""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


GOOD = npy(np.ones(4, np.float32))

BROKEN = {
    "objects": (
        npy(np.array([Harmful()], dtype=object), allow_pickle=True),
        "array 'w' holds pickled Python objects, which could run code",
    ),
    "structured": (npy(np.zeros(2, [("a", "f4")])), "tensor 'w' has dtype .*'a'.*; only"),
    "objects inside": (header((1,), "[('a', 'O')]"), "holds pickled Python objects"),
    "text": (npy(np.array(["a"])), "tensor 'w' has dtype <U1; only"),
    "bytes": (npy(np.array([b"abc"])), r"tensor 'w' has dtype \|S3; only"),
    "anonymous": (npy(np.zeros(2, "V2")), r"tensor 'w' has dtype \|V2; only"),
    "complex": (npy(np.zeros(2, np.complex64)), "tensor 'w' has dtype complex64; only"),
    "dates": (npy(np.zeros(2, "M8[s]")), "tensor 'w' has dtype datetime64"),
    "unsigned": (npy(np.zeros(2, np.uint32)), "tensor 'w' has dtype uint32; only"),
    "long double": (npy(np.zeros(2, np.longdouble)), "tensor 'w' has dtype float128|longdouble"),
    "subarray": (header((1,), "('<f4', (2,))", b"\0" * 8), "tensor 'w' has dtype"),
    "terabytes": (header((1 << 40,)), "needs 4,398,046,511,104 bytes, but its member holds 0"),
    "overflow": (header((1 << 62, 1 << 62)), "but its member holds 0"),
    "cut off": (GOOD[:-1], "needs 16 bytes, but its member holds 15"),
    "appended": (GOOD + b"x", "needs 16 bytes, but its member holds 17"),
    "negative": (header((-1,)), "has the shape .* no list of sizes"),
    "header cut off": (GOOD[:20], "array 'w' is damaged or malformed"),
    "header of code": (header("__import__('os')"), "array 'w' is damaged or malformed"),
    "header too long": (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b" " * 100,
        "array 'w' announces a header of 2,147,483,648 bytes",
    ),
    "no array": (b"hello, world", "array 'w' is damaged or malformed"),
    "version": (b"\x93NUMPY\x03\x00" + GOOD[8:], r"has the npy version \(3, 0\), not 1 or 2"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken(kind):
    data, message = BROKEN[kind]
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint_bytes(zip_bytes({"w.npy": data}), "x.npz")


def test_members_that_are_no_arrays():
    for name in ("inner.npz", "data.pkl", "w"):
        with pytest.raises(CheckpointError, match=f"it holds '{name}', which is no .npy array"):
            read_checkpoint_bytes(zip_bytes({"w.npy": GOOD, name: GOOD}), "x")


def test_damage_is_found_by_the_checksum():
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = zip_bytes({"w.npy": npy(np.arange(1000.0))}, method)
        broken = data[:300] + bytes([data[300] ^ 0xFF]) + data[301:]
        with pytest.raises(CheckpointError, match="array 'w' is damaged or malformed"):
            read_checkpoint_bytes(broken, "x")


def test_a_bomb_is_refused_by_its_declared_size():
    data = zip_bytes({"w.npy": npy(np.zeros(1 << 20))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(LimitError, match=r"more than the limit of 200 times: .* a zip bomb"):
        read_checkpoint_bytes(data, "x")
    with pytest.raises(LimitError, match=r"its zip members unpack to .* more than the limit"):
        read_checkpoint_bytes(data, "x", limits=Limits(total_bytes=1 << 20))


def test_a_member_that_unpacks_to_more_than_it_declared():
    array = npy(np.arange(64.0))
    data = zip_bytes({"w.npy": array + array}, zipfile.ZIP_DEFLATED)
    size = struct.pack("<I", 2 * len(array))
    assert data.count(size) == 2
    lying = data.replace(size, struct.pack("<I", len(array)))
    with pytest.raises(CheckpointError, match="array 'w' is damaged or malformed"):
        read_checkpoint_bytes(lying, "x")


def test_a_member_that_unpacks_to_less_than_it_declared():
    data = zip_bytes({"w.npy": GOOD[:-4]}, zipfile.ZIP_DEFLATED)
    size = struct.pack("<I", len(GOOD) - 4)
    lying = data.replace(size, struct.pack("<I", len(GOOD)))
    with pytest.raises(CheckpointError, match="12 bytes unpacked where 16 were declared"):
        read_checkpoint_bytes(lying, "x")


def test_layouts_and_byte_orders(tmp_path):
    path = tmp_path / "w.npz"
    arrays = {
        "big": np.arange(4, dtype=">f4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(2.5),
        "layer/kernel:0": np.ones((2, 2), np.float16),
        "version 2": np.ones(1, np.int8),
    }
    np.savez(path, **arrays)
    tensors = read_checkpoint_bytes(path.read_bytes(), "w").tensors
    for name, array in arrays.items():
        expected = torch.from_numpy(
            np.array(array, dtype=np.asarray(array).dtype.newbyteorder("="))
        )
        assert torch.equal(tensors[name], expected)
        assert tensors[name].shape == expected.shape
    second = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(GOOD) - 26) + GOOD[10:]
    assert read_checkpoint_bytes(zip_bytes({"w.npy": second}), "w").tensors["w"].sum() == 4
