"""Arguments of nodes: every kind that torch writes becomes a plain value."""

from __future__ import annotations

import math

import pytest
import torch

from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.operators import base_name, is_allowed
from engine.checkpoints.pt2.values import Ref, read_value, references
from engine.errors import CheckpointError

A, B = {"name": "a"}, {"name": "b"}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ({"as_none": True}, None),
        ({"as_tensor": A}, Ref("a")),
        ({"as_tensors": [A, B]}, (Ref("a"), Ref("b"))),
        ({"as_tensors": []}, ()),
        ({"as_optional_tensor": {"as_none": True}}, None),
        ({"as_optional_tensors": [{"as_tensor": A}, {"as_none": True}]}, (Ref("a"), None)),
        ({"as_nested_tensors": [[A], [B, A]]}, ((Ref("a"),), (Ref("b"), Ref("a")))),
        ({"as_int": -3}, -3),
        ({"as_ints": [1, 2]}, (1, 2)),
        ({"as_int_lists": [[1], [2, 3]]}, ((1,), (2, 3))),
        ({"as_float": 0.5}, 0.5),
        ({"as_float": "-Infinity"}, -math.inf),
        ({"as_floats": [1.0, 2.0]}, (1.0, 2.0)),
        ({"as_string": "mean"}, "mean"),
        ({"as_bool": False}, False),
        ({"as_bools": [True]}, (True,)),
        ({"as_sym_int": {"as_name": "n"}}, Ref("n")),
        ({"as_sym_ints": [{"as_name": "n"}, {"as_int": 4}]}, (Ref("n"), 4)),
        ({"as_sym_bool": {"as_bool": True}}, True),
        ({"as_sym_float": {"as_float": 2.0}}, 2.0),
        ({"as_scalar_type": 13}, torch.bfloat16),
        ({"as_memory_format": 2}, torch.channels_last),
        ({"as_layout": 7}, torch.strided),
        ({"as_device": {"type": "cuda", "index": 1}}, torch.device("cpu")),
        ({"as_complex": {"real": 1.0, "imag": -1.0}}, 1 - 1j),
    ],
)
def test_every_kind(argument, value):
    assert read_value(Entry(argument, "it")) == value


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"as_none": False}, "is False, not true"),
        ({"as_tensor": {"name": "a", "more": 1}}, "unknown field 'more'"),
        ({"as_tensors": A}, "it.as_tensors is no list"),
        ({"as_optional_tensors": [{"as_int": 1}]}, "neither a tensor nor nothing"),
        ({"as_sym_ints": [{"as_float": 1.0}]}, "neither a name nor int"),
        ({"as_string": 1}, "is 1, not text"),
        ({"as_bool": 1}, "is 1, not true or false"),
        ({"as_scalar_type": 29}, "dtype code 29, which is not read"),
        ({"as_layout": 1}, "only dense tensors"),
        ({"as_operator": "torch.load"}, "an operator, which is not read"),
        ({"as_string_to_argument": {}}, "a dictionary, which is not read"),
    ],
)
def test_what_is_refused(argument, message):
    with pytest.raises(CheckpointError, match=message):
        read_value(Entry(argument, "it"))


def test_references_are_found_at_any_depth():
    assert list(references((Ref("a"), (1, (Ref("b"), None))))) == [Ref("a"), Ref("b")]


def test_forms_of_one_operation():
    assert base_name("relu_") == "relu"
    assert base_name("__ior__") == "__or__"
    assert base_name("conv2d") == "conv2d"
    assert is_allowed("add_", "Tensor")
    assert is_allowed("to", "dtype_layout"), "a name that merely ends in 'out'"
    assert not is_allowed("add", "out")
    assert not is_allowed("max", "dim_max_out") or is_allowed("max", "dim")
    assert not is_allowed("set_", "source_Storage")
    assert not is_allowed("resize_", "default")
