"""Tests of engine.families.layout."""

from __future__ import annotations

import torch
from torch import nn

from engine.families.layout import (
    container_and_index,
    natural_key,
    read_layout,
    shortened,
    some_of,
)


def test_kinds_by_shape():
    module = nn.ModuleDict(
        {
            "conv": nn.Conv2d(2, 4, 3),
            "linear": nn.Linear(3, 5, bias=False),
            "batch": nn.BatchNorm2d(4),
            "plain": nn.BatchNorm1d(4, affine=False),
            "layer": nn.LayerNorm(6),
            "pixels": nn.LayerNorm((6, 2, 2)),
        }
    )
    layout = read_layout(module.state_dict())
    assert {part.path: (part.kind, part.shape) for part in layout.parts} == {
        "batch": ("batch_norm", (4,)),
        "conv": ("conv", (4, 2, 3, 3)),
        "layer": ("layer_norm", (6,)),
        "linear": ("linear", (5, 3)),
        "pixels": ("layer_norm", (6, 2, 2)),
        "plain": ("batch_norm", (4,)),
    }
    assert layout.unexplained == ()
    assert not any(name.endswith("num_batches_tracked") for name in layout.shapes)


def test_what_no_layer_explains_is_listed():
    state = {
        "token": torch.zeros(1, 1, 4),
        "position.weight": torch.zeros(2, 2, 2, 2, 2),
        "a.bias": torch.zeros(3),
        "b.weight": torch.zeros(4, 2),
        "b.bias": torch.zeros(3),
        "c.weight": torch.zeros(3, 3, dtype=torch.int64),
        "d.running_mean": torch.zeros(3),
        "e.running_mean": torch.zeros(3),
        "e.running_var": torch.zeros(4),
    }
    assert sorted(read_layout(state).unexplained) == [
        "a has a bias [3] but no weight",
        "b.bias [3] does not fit its weight [4, 2]: it should be [4]",
        "c.weight [3, 3] holds int64, not floating-point numbers",
        "d has running_mean but no running_var",
        "e is a BatchNorm whose tensors do not fit: running_mean [3], running_var [4]",
        "position.weight [2, 2, 2, 2, 2] is no layer of a known family",
        "token [1, 1, 4] is no weight, bias or statistic",
    ]


def test_natural_order():
    names = ["features.10", "features.9", "features.1", "a2b10", "a2b9"]
    assert sorted(names, key=natural_key) == [
        "a2b9",
        "a2b10",
        "features.1",
        "features.9",
        "features.10",
    ]


def test_shared_prefixes_and_wrappers_are_left_out():
    assert shortened(("net.module.0", "net.module.2")) == {"net.module.0": "0", "net.module.2": "2"}
    assert shortened(("features.module.0", "fc")) == {"features.module.0": "features.0", "fc": "fc"}
    assert shortened(("module.a", "a")) == {"module.a": "module.a", "a": "a"}
    assert shortened(("",)) == {"": ""}


def test_small_words():
    assert container_and_index("features.12") == ("features", 12)
    assert container_and_index("3") == ("", 3)
    assert container_and_index("fc1") is None
    assert some_of(["a", "b", "c"], 2) == "a, b and 1 more"
