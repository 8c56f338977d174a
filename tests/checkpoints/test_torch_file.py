"""Hostile and broken files of `torch.save`: refused with their own message, never executed."""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict

import pytest
import torch
from torch import nn

from engine.checkpoints import Limits, read_checkpoint_bytes
from engine.errors import CheckpointError, LimitError, UnsafeFileError
from tests.checkpoints.files import (
    Attack,
    changed_pickle,
    members,
    pickle_in_zip,
    torch_bytes,
    zip_bytes,
)

W = {"w": torch.arange(4.0)}
GOOD = members(torch_bytes(W))
FLAT = torch_bytes(W, flat=True)


def with_member(name, data):
    return zip_bytes({**GOOD, f"archive/{name}": data})


def read(data):
    return read_checkpoint_bytes(data, "x.pt")


# --- tensors that are not what they seem ------------------------------------------------------


def test_expanded_tensors_are_refused():
    with pytest.raises(CheckpointError, match=r"'big' shows 4,000,000 bytes .* holds 4: it is an"):
        read(torch_bytes({"big": torch.ones(1).expand(1000, 1000)}))


def test_a_view_of_terabytes_is_refused_before_it_exists():
    data = changed_pickle(
        W, (b"K\x04\x85q\x08K\x01\x85", b"\x8a\x06\0\0\0\0\0\x01\x85q\x08K\0\x85")
    )
    with (
        pytest.raises(LimitError, match="more than the limit")
        if False
        else pytest.raises(CheckpointError, match="it is an expanded view")
    ):
        read(data)


def test_a_storage_larger_than_its_member():
    data = changed_pickle(W, (b"K\x04t", b"J\0\0\0\x40t"))
    with pytest.raises(CheckpointError, match=r"should hold 4,294,967,296 bytes, .* member has 16"):
        read(data)


def test_a_view_beyond_its_storage():
    data = changed_pickle({"w": torch.arange(8.0)[:4]}, (b"QK\x00K\x04", b"QK\x07K\x04"))
    with pytest.raises(CheckpointError, match="reaches element 10 of a storage of 8"):
        read(data)


def test_strides_and_sizes_that_make_no_sense():
    with pytest.raises(CheckpointError, match="malformed strides"):
        read(changed_pickle(W, (b"K\x01\x85", b"J\xff\xff\xff\xff\x85")))
    with pytest.raises(CheckpointError, match="which is no list of sizes"):
        read(changed_pickle(W, (b"K\x04\x85", b"J\xff\xff\xff\xff\x85")))
    with pytest.raises(CheckpointError, match=r"its storage '0' declares -1 elements"):
        read(changed_pickle(W, (b"K\x04t", b"J\xff\xff\xff\xfft")))


def test_sparse_quantised_and_meta_tensors():
    with pytest.raises(CheckpointError, match=r"sparse tensors(.|\n)*to_dense\(\)"):
        read(torch_bytes({"w": torch.eye(3).to_sparse()}))
    quantised = Attack(torch._utils._rebuild_qtensor)
    with pytest.raises(CheckpointError, match=r"quantised tensors(.|\n)*dequantize\(\)"):
        read(pickle_in_zip(pickle.dumps(quantised, 2)))
    with pytest.raises(CheckpointError, match="meta tensors, which have a shape but no values"):
        read(torch_bytes({"w": torch.ones(2, device="meta")}))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_other_dtypes_are_refused_by_name(dtype):
    with pytest.raises(CheckpointError, match=r"tensor 'w' has dtype of Complex\w+Storage; only"):
        read(torch_bytes({"w": torch.ones(2, dtype=dtype)}))
    with pytest.raises(UnsafeFileError, match="_rebuild_tensor_v3"):
        read(torch_bytes({"w": torch.ones(2).to(torch.float8_e5m2)}))


# --- broken files -----------------------------------------------------------------------------

BROKEN = {
    "no pickle": (zip_bytes({"archive/version": b"3"}), "holds neither tensors nor arrays"),
    "two roots": (zip_bytes({"a/data.pkl": b"", "b/x": b""}), "holds neither tensors nor arrays"),
    "no root": (zip_bytes({"data.pkl": b""}), "holds neither tensors nor arrays"),
    "byte order": (with_member("byteorder", b"middle"), "its byte order is b'middle'"),
    "pickle empty": (with_member("data.pkl", b""), "its pickle is cut off or damaged"),
    "pickle cut off": (
        with_member("data.pkl", GOOD["archive/data.pkl"][:-9]),
        "cut off or damaged",
    ),
    "pickle appended": (
        with_member("data.pkl", GOOD["archive/data.pkl"] + b"N."),
        "its pickle is followed by further bytes",
    ),
    "pickle in protocol 4": (pickle_in_zip(pickle.dumps({"w": 1}, 4)), "has protocol 4; torch"),
    "storage missing": (
        zip_bytes({n: d for n, d in GOOD.items() if n != "archive/data/0"}),
        "its storage '0' is not in the zip",
    ),
    "list": (torch_bytes([torch.ones(1)]), "it holds a list, not a mapping"),
    "tensor": (torch_bytes(torch.ones(1)), "a single tensor without a name"),
    "names no text": (torch_bytes({3: torch.ones(1)}), "named by 3, a int; names must be text"),
    "flat cut off": (FLAT[:-3], r"end at byte \d+, but the file has \d+"),
    "flat appended": (FLAT + b"x", r"end at byte \d+, but the file has \d+"),
    "flat cut off in the pickles": (FLAT[:60], "its pickle is cut off or damaged"),
    "flat cut off before the storages": (FLAT[:-24], "the bytes that follow say otherwise"),
    "flat storage resized": (
        FLAT[:-24] + struct.pack("<q", 1 << 40) + FLAT[-16:],
        "should hold 4 elements, but the bytes that follow say otherwise",
    ),
    "flat version": (FLAT.replace(b"M\xe9\x03", b"M\xea\x03", 1), "its version is 1002, not 1001"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken(kind):
    data, message = BROKEN[kind]
    with pytest.raises(CheckpointError, match=message):
        read(data)


def test_lists_of_storages_in_flat_files():
    start = FLAT.rindex(b"\x80\x02]")
    rest = FLAT[-24:]
    for keys, message in (
        (5, "its list of storages is malformed"),
        ([3], "its list of storages is malformed"),
        ([], "is not that of its tensors"),
        (["a", "a"], "is not that of its tensors"),
    ):
        with pytest.raises(CheckpointError, match=message):
            read(FLAT[:start] + pickle.dumps(keys, 2) + rest)


def test_what_only_torch_refuses_keeps_its_reason(monkeypatch):
    def refuse(*arguments, **options):
        assert options == {"map_location": "cpu", "weights_only": True}
        raise RuntimeError("reason\nmore")

    monkeypatch.setattr("torch.load", refuse)
    with pytest.raises(CheckpointError, match=r"torch refuses it: reason$"):
        read(torch_bytes(W))


def test_a_damaged_pickle_member():
    data = torch_bytes(W)
    at = data.index(b"collections")
    with pytest.raises(CheckpointError, match="its zip is damaged"):
        read(data[:at] + b"X" + data[at + 1 :])


def test_limits():
    with pytest.raises(LimitError, match=r"its pickle takes .* more than the limit of 2,000"):
        names = {f"{i:0100}": 1.0 for i in range(100)}
        read_checkpoint_bytes(torch_bytes({**W, **names}), "x", limits=Limits(header_bytes=2000))
    with pytest.raises(LimitError, match="its pickle has more than 80 opcodes"):
        many = pickle_in_zip(b"\x80\x02" + b"N" * 100 + b".")
        read_checkpoint_bytes(many, "x", limits=Limits(tensors=2))
    tied = {str(i): W["w"].detach() for i in range(40)}
    with pytest.raises(LimitError, match="it holds 40 tensors, more than the limit of 39"):
        read_checkpoint_bytes(torch_bytes(tied), "x", limits=Limits(tensors=39))
    with pytest.raises(LimitError, match="its tensors take 640 bytes, more than the limit of 600"):
        limits = Limits(total_bytes=600, tensors=100)
        read_checkpoint_bytes(torch_bytes(tied, flat=True), "x", limits=limits)


def test_one_view_under_many_names_is_not_copied_without_bound():
    view = torch.ones(100, 10).t()
    with pytest.raises(LimitError, match="its tensors take 40,000 bytes, more than the limit"):
        data = torch_bytes({str(i): view for i in range(10)})
        read_checkpoint_bytes(data, "x", limits=Limits(total_bytes=30_000))


# --- good files -------------------------------------------------------------------------------


def test_what_training_code_saves_is_read():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    moments = {"step": torch.tensor(1.0), "exp_avg": torch.ones(4, 3)}
    groups = [{"lr": 0.1, "betas": (0.9, 0.99), "params": [0, 1]}]
    content = {
        "state_dict": net.state_dict(),
        "optimizer": {"state": {0: moments}, "param_groups": groups},
        "scheduler": {"milestones": Counter({3: 1})},
        "parameter": OrderedDict(p=net[0].weight),
        "size": torch.Size([1, 2]),
        "device": torch.device("cuda", 0),
        "dtype": torch.float32,
        "epoch": 3,
        "big": 1 << 70,
        "rate": 0.1,
        "best": None,
        "flags": (True, False, ()),
    }
    for flat in (False, True):
        checkpoint = read(torch_bytes(content, flat))
        assert set(checkpoint.tensors) == set(net.state_dict())
        assert torch.equal(checkpoint.tensors["0.weight"], net[0].weight)


def test_views_keep_no_more_memory_than_their_own():
    whole = torch.arange(1000.0).reshape(100, 10)
    content = {"row": whole[3], "column": whole[:, 2], "tied": whole, "again": whole}
    tensors = read(torch_bytes(content)).tensors
    for name, expected in content.items():
        assert torch.equal(tensors[name], expected)
        assert tensors[name].is_contiguous()
        assert tensors[name].untyped_storage().nbytes() == expected.numel() * 4


def test_big_endian_files_are_turned_around():
    parts = members(torch_bytes(W))
    parts["archive/byteorder"] = b"big"
    parts["archive/data/0"] = struct.pack(">4f", 0, 1, 2, 3)
    assert torch.equal(read(zip_bytes(parts)).tensors["w"], W["w"])


def test_a_member_whose_two_names_differ_is_told():
    data = torch_bytes({"w": torch.ones(2)})
    at = data.index(b"archive/data.pkl")
    broken = bytearray(data)
    broken[at] = 0xAD
    with pytest.raises(CheckpointError, match="its zip is damaged"):
        read_checkpoint_bytes(bytes(broken), "x.pt")
