"""What no tensor of a network of inverted residuals shows: strides, activations, eps, by variant.

Strides are those of the published stages. Where the names do not tell the stages (torchvision's
MobileNets), the number of blocks does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import SpecError, UnknownArchitectureError
from engine.families.published.mobile_names import BlockNames, NetworkNames, is_fused
from engine.families.published.tree import Tree


@dataclass(frozen=True)
class Variant:
    """One published network.

    Attributes:
        title: Its name.
        blocks: Blocks per stage, where the names do not tell.
        strides: Of the first block of every stage.
        activation: Of stem, last layers and blocks.
        early: Activation of the blocks of the first stages, and how many stages those are.
        excitation: Activation and gate of the squeeze-excite.
        eps: Of torchvision's BatchNorms.
    """

    title: str
    blocks: tuple[int, ...]
    strides: tuple[int, ...]
    activation: str
    eps: float
    early: tuple[str, int] = ("", 0)
    excitation: tuple[str, str] = ("silu", "sigmoid")


V2 = Variant("MobileNetV2", (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1), "relu6", 1e-5)
V3 = {
    6: Variant(
        "MobileNetV3 Large",
        (1, 2, 3, 4, 2, 3),
        (1, 2, 2, 2, 1, 2, 1),
        "hardswish",
        1e-3,
        ("relu", 3),
        ("relu", "hardsigmoid"),
    ),
    5: Variant(
        "MobileNetV3 Small",
        (1, 2, 3, 2, 3),
        (2, 2, 2, 1, 2, 1),
        "hardswish",
        1e-3,
        ("relu", 2),
        ("relu", "hardsigmoid"),
    ),
}
EFFICIENT = Variant("EfficientNet", (), (1, 2, 2, 2, 1, 2, 1), "silu", 1e-5)
EFFICIENT_V2 = replace(EFFICIENT, title="EfficientNetV2", eps=1e-3)

# blocks per stage -> the published EfficientNet
EFFICIENT_DEPTHS: Mapping[tuple[int, ...], str] = {
    (1, 2, 2, 3, 3, 4, 1): "B0",
    (2, 3, 3, 4, 4, 5, 2): "B1",
    (2, 3, 3, 5, 5, 6, 2): "B3",
    (2, 4, 4, 6, 6, 8, 2): "B4",
    (3, 5, 5, 7, 7, 9, 3): "B5",
    (3, 6, 6, 8, 8, 11, 3): "B6",
    (4, 7, 7, 10, 10, 13, 4): "B7",
    (2, 4, 4, 6, 9, 15): "V2 S",
    (3, 5, 5, 7, 14, 18, 5): "V2 M",
    (4, 7, 7, 10, 19, 25, 7): "V2 L",
}
DEEP = 3  # torchvision's B5 and deeper, whose first stage has so many blocks, use eps 1e-3


def variant_of(tree: Tree, names: NetworkNames) -> Variant:
    """Return the published network that the layers are like.

    Raises:
        UnknownArchitectureError: None is; says what was expected.
    """
    blocks = [block for stage in names.stages for block in stage]
    count = len(blocks)
    if names.hidden is not None:
        tails = count - sum(len(stage) == 1 and len(stage[0].layers) == 1 for stage in names.stages)
        for variant in V3.values():
            if sum(variant.blocks) == (tails if names.staged else count):
                return variant
        raise UnknownArchitectureError(
            f"It has {count} blocks; MobileNetV3 Large has 15 and Small 11, and the strides of "
            "others cannot be seen."
        )
    if is_fused(tree, names.stages):
        return _named(EFFICIENT_V2, names)
    if any(block.excitation for block in blocks):
        return _named(EFFICIENT, names)
    return V2 if count == sum(V2.blocks) else replace(V2, title=f"MobileNetV2-like, {count} blocks")


def _named(variant: Variant, names: NetworkNames) -> Variant:
    counts = tuple(len(stage) for stage in names.stages)
    known = EFFICIENT_DEPTHS.get(counts)
    plain = f"{variant.title} of {sum(counts)} blocks"
    joined = f"EfficientNet{known if known[0] == 'V' else f' {known}'}" if known else plain
    eps = 1e-3 if counts[0] >= DEEP else variant.eps
    return replace(variant, title=joined, eps=eps)


def stages_of(names: NetworkNames, variant: Variant) -> list[Sequence[BlockNames]]:
    """Return the blocks by stage: by their names, else by the variant's table.

    Raises:
        UnknownArchitectureError: The table has another number of blocks.
    """
    if names.staged:
        return list(names.stages)
    blocks = names.stages[0]
    if len(blocks) != sum(variant.blocks):
        raise UnknownArchitectureError(
            f"It has {len(blocks)} blocks, {variant.title.partition('-')[0]} has "
            f"{sum(variant.blocks)}: names do not tell the stages, so the strides are unknown."
        )
    stages, start = [], 0
    for size in variant.blocks:
        stages.append(blocks[start : start + size])
        start += size
    return stages


def strides_of(stages: int, variant: Variant, overrides: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the stride of every stage's first block: given, else the published ones.

    Raises:
        SpecError: The strides given are no list of 1 and 2, one per stage.
        UnknownArchitectureError: There are more stages than in any published network.
    """
    given = overrides.get("strides")
    if given is not None:
        valid = isinstance(given, list | tuple) and all(stride in (1, 2) for stride in given)
        if not valid or len(given) != stages:
            raise SpecError(
                f"strides={given!r} is not possible: give {stages} numbers, 1 or 2, one per stage."
            )
        return tuple(int(stride) for stride in given)
    if stages > len(variant.strides):
        raise UnknownArchitectureError(
            f"It has {stages} stages, {variant.title} has {len(variant.strides)} (strides=[…])."
        )
    return variant.strides[:stages]
