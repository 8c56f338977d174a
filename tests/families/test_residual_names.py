"""Tests of engine.families.residual_names."""

from __future__ import annotations

import pytest
import torch

from engine.families.layout import read_layout
from engine.families.residual_names import is_shortcut, split_blocks


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("layer1.0.conv1", ("layer1", "0", "conv1")),
        ("layer1.0.shortcut.0", ("layer1", "0", "shortcut.0")),
        ("segments.0.1.conv2", ("segments.0", "1", "conv2")),
        ("block_groups.0.blocks.1.conv0", ("block_groups.0", "blocks.1", "conv0")),
        ("blockgroup1.block2.bn1.layer_norm", ("blockgroup1", "block2", "bn1.layer_norm")),
        ("conv2_x.0.residual_function.3", ("conv2_x", "0", "residual_function.3")),
        ("conv1", None),
        ("conv1.0", None),
        ("bn1.layer_norm", None),
        ("features.12", None),
        ("linear", None),
    ],
)
def test_a_path_is_split_into_stage_block_and_inside(path, place):
    state = {f"{path}.weight": torch.zeros(2, 2), "other.weight": torch.zeros(2, 2)}
    split = split_blocks(read_layout(state).parts)
    found = [
        (stage, block, inside)
        for stage, blocks in split.blocks.items()
        for block, parts in blocks.items()
        for inside, _ in parts
    ]
    assert found == ([place] if place else [])


def test_stages_and_blocks_come_in_natural_order():
    state = {f"layer{i}.{j}.conv1.weight": torch.zeros(2, 2) for i in (10, 9) for j in (11, 2)}
    split = split_blocks(read_layout(state).parts)
    assert [(stage, *blocks) for stage, blocks in split.blocks.items()] == [
        ("layer9", "2", "11"),
        ("layer10", "2", "11"),
    ]


def test_shortcuts_by_their_names():
    assert is_shortcut("shortcut.0") and is_shortcut("downsample.1") and is_shortcut("skip_conv")
    assert not is_shortcut("conv1") and not is_shortcut("residual_function.0")
