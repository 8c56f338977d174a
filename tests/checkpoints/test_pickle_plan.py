"""The inert pickle machine: what it refuses, and that it never builds."""

from __future__ import annotations

import io

import pytest
import torch

from engine.checkpoints.limits import Limits
from engine.checkpoints.pickle_plan import plan_pickle
from engine.checkpoints.pickle_scan import disallowed_globals, read_opcodes
from engine.errors import CheckpointError
from tests.checkpoints.files import members, torch_bytes

ORDERED = b"ccollections\nOrderedDict\n"
STORAGE = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\4tQ"


def plan(data):
    opcodes = read_opcodes(io.BytesIO(data), Limits())
    assert disallowed_globals(opcodes) == ()
    return plan_pickle(opcodes)


def test_the_plan_of_a_state_dict():
    content = torch.nn.Linear(2, 3).state_dict()
    found = plan(members(torch_bytes(content))["archive/data.pkl"])
    assert {t.name: (t.shape, t.stride) for t in found.tensors} == {
        "weight": ((3, 2), (2, 1)),
        "bias": ((3,), (1,)),
    }
    assert sorted(s.elements for s in found.storages.values()) == [3, 6]


REFUSED = {
    "too few values": (b"\x80\x02\x86.", "malformed: IndexError at TUPLE2"),
    "no mark": (b"\x80\x02t.", "malformed: IndexError at TUPLE"),
    "memo unknown": (b"\x80\x02h\x05.", "malformed: KeyError at BINGET"),
    "too many values": (b"\x80\x02NN.", "malformed: ValueError at STOP"),
    "odd items": (b"\x80\x02}(Nu.", "malformed: TypeError at SETITEMS"),
    "append to a mapping": (b"\x80\x02}Na.", "malformed: TypeError at APPEND"),
    "call of no global": (b"\x80\x02N)R.", "malformed: TypeError at REDUCE"),
    "call of a dtype": (b"\x80\x02ctorch\nfloat32\n)R.", "calls torch.float32, which is nothing"),
    "parameter of nothing": (
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nN\x85R.",
        "malformed: TypeError at REDUCE",
    ),
    "device of a list": (b"\x80\x02ctorch\ndevice\n]\x85R.", "malformed: TypeError at REDUCE"),
    "size of floats": (b"\x80\x02ctorch\nSize\nN\x85R.", "malformed: TypeError at REDUCE"),
    "counter of a list": (
        b"\x80\x02ccollections\nCounter\n]\x85R.",
        "malformed: AttributeError at REDUCE",
    ),
    "mapping of text": (b"\x80\x02" + ORDERED + b"X\1\0\0\0a\x85R.", "TypeError at REDUCE"),
    "tensor of nothing": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor\n(NNNNtR.",
        "malformed: TypeError at REDUCE",
    ),
    "tensor of too little": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor\n)R.",
        "malformed: ValueError at REDUCE",
    ),
    "hooks": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\0))\x89}NNstR.",
        "attaches hooks or metadata to a tensor",
    ),
    "attributes": (b"\x80\x02" + ORDERED + b")R}X\5\0\0\0itemsNsb.", "sets attributes on objects"),
    "key that hashes without end": (
        b"\x80\x02})" + b"\x85" * 30_000 + b"Ns.",
        "uses a tuple as a key",
    ),
    "opcode unknown": (b"\x80\x02\x8f.", "its pickle uses EMPTY_SET, which torch.save"),
    "object construction": (b"\x80\x02" + ORDERED + b")\x81.", "its pickle uses NEWOBJ"),
    "persistent text": (b"\x80\x02P0\n.", "its pickle uses PERSID"),
    "persistent module": (b"\x80\x02X\6\0\0\0module\x85Q.", "other than a tensor's storage"),
    "storage of no class": (
        b"\x80\x02" + STORAGE.replace(b"ctorch\nFloatStorage\n", b"N") + b".",
        "TypeError at BINPERSID",
    ),
    "storage twice": (
        b"\x80\x02" + STORAGE + STORAGE.replace(b"K\4", b"K\5") + b"\x86.",
        "its storage '0' is declared in two ways",
    ),
    "storage view": (
        b"\x80\x02" + STORAGE.replace(b"K\4t", b"K\4(K\1K\0K\1tt") + b".",
        "older than 0.4, with views of storages",
    ),
    "elements nested without end": (
        b"\x80\x02" + STORAGE.replace(b"K\4t", b")" + b"\x85" * 30_000 + b"t") + b".",
        "declares a tuple that cannot be shown elements",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind):
    data, message = REFUSED[kind]
    with pytest.raises(CheckpointError, match=message):
        plan(data)
