"""Tests of engine.families.chain: order and norms by names and shapes."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch
from torch import nn

from engine.errors import UnknownArchitectureError
from engine.families.chain import attach_norms, index_gap, order_by_chain
from engine.families.layout import Part, read_layout


def linears(shapes: dict[str, tuple[int, int]]) -> tuple[Part, ...]:
    """Parts by name -> (inputs, outputs)."""
    state = {f"{name}.weight": torch.zeros(o, i) for name, (i, o) in shapes.items()}
    return read_layout(state | {"z.z.weight": torch.zeros(1)}).of("linear")


def test_names_win_where_they_fit():
    parts = linears({"fc10": (4, 4), "fc9": (4, 4), "out": (4, 4), "input": (4, 4)})
    ordered, said = order_by_chain(parts)
    assert [part.path for part in ordered] == ["input", "fc9", "fc10", "out"]
    assert said == "The order is that of the names: input, fc9, fc10, out."


@pytest.mark.parametrize("seed", range(20))
def test_a_shuffled_chain_is_found(seed):
    rng = random.Random(seed)
    widths = [rng.choice((3, 5, 7)) for _ in range(8)]
    letters = rng.sample("abcdefghklm", 7)
    shapes = {n: (widths[i], widths[i + 1]) for i, n in enumerate(letters)}
    ordered, _ = order_by_chain(linears(dict(sorted(shapes.items()))))
    assert len(ordered) == 7
    assert all(a.outputs == b.inputs for a, b in pairwise(ordered))


def test_no_chain_names_the_first_break():
    parts = linears({f"fc{i}": (6, 6) for i in range(40)} | {"fc40": (5, 6)})
    with pytest.raises(
        UnknownArchitectureError, match=r"fc40\.weight \[6, 5\] takes 5 inputs, but fc39"
    ):
        order_by_chain(parts + linears({"x": (9, 9)}))


def attached(module: nn.Module, order: tuple[str, ...]) -> dict[str, str]:
    layout = read_layout(module.state_dict())
    hosts = [next(part for part in layout.parts if part.path == name) for name in order]
    return {host: norm.path for host, norm in attach_norms(hosts, layout.norms).items()}


def test_norms_by_place_parent_number_and_order():
    by_place = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 4))
    assert attached(by_place, ("0", "3")) == {"0": "2"}
    blocks = [nn.ModuleDict({"conv": nn.Linear(4, 4), "norm": nn.LayerNorm(4)}) for _ in range(2)]
    assert attached(nn.ModuleList(blocks), ("0.conv", "1.conv")) == {
        "0.conv": "0.norm",
        "1.conv": "1.norm",
    }
    named = nn.ModuleDict({"fc1": nn.Linear(4, 4), "fc2": nn.Linear(4, 4), "bn2": nn.LayerNorm(4)})
    assert attached(named, ("fc1", "fc2")) == {"fc2": "bn2"}
    loose = nn.ModuleDict({"a": nn.Linear(4, 5), "b": nn.Linear(5, 4), "norm": nn.LayerNorm(5)})
    assert attached(loose, ("a", "b")) == {"a": "norm"}


def test_a_norm_without_a_layer_is_named():
    module = nn.ModuleDict({"fc": nn.Linear(4, 5), "norm": nn.LayerNorm(6)})
    with pytest.raises(UnknownArchitectureError, match=r"norm norm \[6\] follows no layer with 6"):
        attached(module, ("fc",))


def test_index_gap():
    parts = read_layout(
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4)).state_dict()
    ).parts
    assert index_gap(parts[0], parts[1]) == 2
    module = nn.ModuleDict({"fc": nn.Linear(3, 4), "bn": nn.LayerNorm(4)})
    norm, linear = read_layout(module.state_dict()).parts
    assert index_gap(linear, norm) is None
