"""The names that a pickle refers to, found in every protocol."""

from __future__ import annotations

import io
import pickle
import re

import pytest

from engine.checkpoints.limits import Limits
from engine.checkpoints.pickle_scan import disallowed_globals, read_opcodes
from engine.errors import CheckpointError, LimitError


def test_names_are_found_in_every_protocol():
    for protocol in range(6):
        opcodes = read_opcodes(io.BytesIO(pickle.dumps(re.compile, protocol)), Limits())
        assert disallowed_globals(opcodes) == ("re.compile",)
    assert disallowed_globals([("EXT1", 7), ("STACK_GLOBAL", None)]) == (
        "?",
        "copyreg extension 7",
    )
    assert disallowed_globals([("INST", "os system")]) == ("os.system",)


def test_what_a_state_dict_refers_to_is_allowed():
    names = ("collections OrderedDict", "torch FloatStorage", "torch bfloat16", "torch Size")
    assert disallowed_globals([("GLOBAL", name) for name in names]) == ()
    names = ("torch load", "torch FloatStorage.x", "torch.hub load", "torch float32x")
    assert len(disallowed_globals([("GLOBAL", name) for name in names])) == 4


def test_damage_and_length():
    for data in (b"", b"\x80\x02", b"\x80\x02X\xff\xff\xff\xff.", b"\xff", b"c\xff\n\xff\n."):
        with pytest.raises(CheckpointError, match=r"its pickle is cut off or damaged \("):
            read_opcodes(io.BytesIO(data), Limits())
    with pytest.raises(LimitError, match="its pickle has more than 40 opcodes"):
        read_opcodes(io.BytesIO(b"N" * 100), Limits(tensors=1))
