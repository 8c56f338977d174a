"""A user's own data files: what is taken, and each refusal with its message."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.data.uploaded import UploadLimits, read_uploaded
from engine.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(3, 1, 2, 4)
LABELS = np.array([0, 2, 1], dtype=np.int32)


def npz(tmp_path, **arrays):
    np.savez_compressed(tmp_path / "own.npz", **arrays)
    return tmp_path / "own.npz"


def with_members(tmp_path, **members: bytes):
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return tmp_path / "own.npz"


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_files_are_read(compressed, tmp_path):
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "own.npz", inputs=IMAGES, targets=LABELS, note=np.zeros(1))
    raw = read_uploaded(tmp_path / "own.npz")
    assert raw.inputs.dtype == torch.uint8
    assert np.array_equal(raw.inputs.numpy(), IMAGES)
    assert (raw.targets.tolist(), raw.classes) == ([0, 2, 1], 3)
    assert raw.targets.dtype == torch.int64
    assert len(raw.sha256) == 64


def test_safetensors_files_are_read(tmp_path):
    inputs = torch.tensor([[1.5], [2.0]], dtype=torch.bfloat16)
    tensors = {"inputs": inputs, "targets": torch.tensor([1, 0]), "classes": torch.tensor(7)}
    save_file(tensors, tmp_path / "own.safetensors")
    raw = read_uploaded(tmp_path / "own.safetensors")
    assert raw.inputs.dtype == torch.float32
    assert raw.inputs.tolist() == [[1.5], [2.0]]
    assert raw.classes == 7


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_floats_become_float32(dtype, tmp_path):
    raw = read_uploaded(npz(tmp_path, inputs=IMAGES.astype(dtype), targets=LABELS))
    assert raw.inputs.dtype == torch.float32
    assert np.array_equal(raw.inputs.numpy(), IMAGES)


def test_token_ids_and_tokens_to_predict_are_read(tmp_path):
    ids = np.arange(6, dtype=np.uint16).reshape(3, 2)
    raw = read_uploaded(npz(tmp_path, inputs=ids, targets=np.array([[1, -100]] * 3)))
    assert (raw.inputs.dtype, raw.inputs.tolist()) == (torch.int64, ids.tolist())
    assert (raw.targets.tolist(), raw.classes) == ([[1, -100]] * 3, 2)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_floating_point_targets_are_read(dtype, tmp_path):
    values = np.arange(12).reshape(3, 2, 2).astype(dtype)
    raw = read_uploaded(npz(tmp_path, inputs=IMAGES, targets=values))
    assert (raw.targets.dtype, raw.classes) == (torch.float32, 0)
    assert np.array_equal(raw.targets.numpy(), values)


def test_several_inputs_are_read_by_name_or_by_place(tmp_path):
    arrays = {"inputs.10": IMAGES, "inputs.2": LABELS, "inputs.0": IMAGES[:, 0] > 3}
    raw = read_uploaded(npz(tmp_path, targets=LABELS, **arrays))
    assert raw.input_names == ("0", "2", "10")
    assert [tensor.dtype for tensor in raw.inputs] == [torch.int64, torch.int64, torch.uint8]
    save_file(
        {"inputs.mask": torch.ones(2, 3), "targets": torch.zeros(2)}, tmp_path / "o.safetensors"
    )
    raw = read_uploaded(tmp_path / "o.safetensors")
    assert raw.input_names == ("mask",) and isinstance(raw.inputs, tuple)


def nan_inputs():
    inputs = IMAGES.astype(np.float32)
    inputs[1, 0, 0, 2] = np.nan
    inputs[2, 0, 0, 0] = np.inf
    return inputs


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": IMAGES}, "own.npz: `targets` is missing; the file holds inputs"),
        (
            {"x": IMAGES, "targets": LABELS},
            "holds targets, x. Several inputs are stored as `inputs.NAME` each, say `inputs.x`",
        ),
        ({"inputs": IMAGES.astype(complex), "targets": LABELS}, "`inputs` has dtype complex128"),
        (
            {"inputs": IMAGES, "targets": np.array([1, np.nan, 2])},
            "NaN or infinite in 1 .* sample 1",
        ),
        ({"inputs": IMAGES, "targets": LABELS / 1.0, "classes": 3}, "belongs to whole-number"),
        ({"inputs": IMAGES, "targets": LABELS.astype("U1")}, "`targets` has dtype str"),
        ({"inputs": IMAGES[0, 0, 0], "targets": LABELS}, r"`inputs` has shape \[4\]; the first"),
        ({"inputs": IMAGES, "targets": LABELS[:, None, None]}, r"has shape \[3, 1, 1\]; whole"),
        ({"inputs": IMAGES, "targets": np.int64(3)}, "3 samples but `targets` a single number"),
        (
            {"inputs": IMAGES, "targets": np.zeros((3, 0))},
            r"`targets` is empty, of shape \[3",
        ),
        ({"inputs": IMAGES, "inputs.0": IMAGES, "targets": LABELS}, "keep one of the two ways"),
        ({"inputs.a": IMAGES, "inputs.b": IMAGES[:2], "targets": LABELS}, "`inputs.b` holds 2"),
        ({"inputs": IMAGES, "targets": LABELS[:2]}, "holds 3 samples but `targets` 2"),
        ({"inputs": IMAGES[:0], "targets": LABELS[:0]}, r"`inputs` is empty, of shape \[0, 1"),
        ({"inputs": nan_inputs(), "targets": LABELS}, "infinite numbers in 2 .* is sample 1"),
        ({"inputs": IMAGES, "targets": LABELS - 1}, "has the target -1; classes count from 0"),
        ({"inputs": IMAGES, "targets": LABELS, "classes": 2}, "go up to 2; with 2 classes"),
        ({"inputs": IMAGES, "targets": LABELS, "classes": 2.5}, "`classes` must be one integer"),
        ({"inputs": IMAGES, "targets": LABELS, "classes": [3, 3]}, "`classes` must be one"),
        ({"inputs": IMAGES, "targets": LABELS, "classes": -1}, "`classes` is -1; it counts"),
        ({"inputs": IMAGES, "targets": LABELS * 10**8}, "classes; at most 1000000 are taken"),
    ],
)
def test_wrong_contents_are_named(arrays, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_uploaded(npz(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (UploadLimits(samples=2), "3 samples; at most 2 are read"),
        (UploadLimits(total_bytes=119), "would take 120 bytes in memory; at most 119"),
    ],
)
def test_caps_hold(limits, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_uploaded(npz(tmp_path, inputs=IMAGES, targets=LABELS), limits=limits)


def test_pickles_are_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    objects = np.array([Bomb(), Bomb(), Bomb()], dtype=object)
    np.savez(tmp_path / "own.npz", inputs=IMAGES, targets=objects, allow_pickle=True)
    with pytest.raises(DataError, match="`targets` has dtype object"):
        read_uploaded(tmp_path / "own.npz")
    assert not (tmp_path / "ran").exists()


def test_a_header_that_promises_more_than_is_stored_is_refused(tmp_path):
    honest = npy(IMAGES)
    lying = honest.replace(b"(3, 1, 2, 4)", b"(3, 1, 2,40)")
    assert lying != honest
    path = with_members(tmp_path, inputs=lying, targets=npy(LABELS))
    with pytest.raises(DataError, match="`inputs` declares 240 bytes but stores 24"):
        read_uploaded(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04rubbish", b"\x93NUMPY\x01\x00"],
)
def test_broken_npz_files_are_refused(content, tmp_path):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz: this is no readable \.npz file"):
        read_uploaded(tmp_path / "own.npz")


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"\x93NUMPY\x09\x00" + bytes(40),
        npy(IMAGES)[:9],
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
    ],
)
def test_broken_members_are_refused(member, tmp_path):
    path = with_members(tmp_path, inputs=member, targets=npy(LABELS))
    with pytest.raises(DataError, match=r"own\.npz: this is no readable \.npz file"):
        read_uploaded(path)


def test_flipped_bytes_are_refused(tmp_path):
    path = with_members(tmp_path, inputs=npy(IMAGES), targets=npy(LABELS))
    content = bytearray(path.read_bytes())
    content[content.index(IMAGES.tobytes()) + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz: this is no readable \.npz file .*CRC"):
        read_uploaded(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, struct.pack("<Q", 2**62) + b"{}"])
def test_broken_safetensors_files_are_refused(content, tmp_path):
    (tmp_path / "own.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"own\.safetensors: this is no readable"):
        read_uploaded(tmp_path / "own.safetensors")


def test_a_safetensors_file_without_targets_is_refused(tmp_path):
    save_file({"inputs": torch.zeros(2, 2)}, tmp_path / "own.safetensors")
    with pytest.raises(DataError, match="`targets` is missing; the file holds inputs"):
        read_uploaded(tmp_path / "own.safetensors")


def test_other_endings_are_refused(tmp_path):
    (tmp_path / "own.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"own\.csv: data files end in \.npz, \.safetensors or \.t"):
        read_uploaded(tmp_path / "own.csv")


def test_members_without_their_ending_are_not_taken_for_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("inputs", npy(IMAGES))
        archive.writestr("targets.npy", npy(LABELS))
    with pytest.raises(DataError, match=r"`inputs` is missing; the file holds targets"):
        read_uploaded(tmp_path / "own.npz")
