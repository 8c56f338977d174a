"""The blocks of a CIFAR ResNet read from a state dict, with every shape checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UnknownArchitectureError
from engine.families.layout import Part, numbers_in, show_shape, some_of
from engine.families.residual_names import Inside, is_shortcut, split_blocks


@dataclass(frozen=True)
class ReadBlock:
    """One residual block: its layers, and its stride by its place."""

    label: str
    conv1: Part
    norm1: Part | None
    conv2: Part
    norm2: Part | None
    shortcut: Part | None
    shortcut_norm: Part | None
    stride: int

    @property
    def widens(self) -> bool:
        return self.stride > 1 or self.conv1.inputs != self.conv2.outputs


@dataclass(frozen=True)
class ReadResNet:
    """A whole residual network: stem, stages of blocks, head."""

    stem: Part
    stem_norm: Part | None
    stages: tuple[tuple[ReadBlock, ...], ...]
    head: Part

    @property
    def blocks(self) -> tuple[ReadBlock, ...]:
        return tuple(block for stage in self.stages for block in stage)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(stage[0].conv2.outputs for stage in self.stages)


def read_resnet(parts: Sequence[Part]) -> ReadResNet:
    """Read stem, blocks and head; check that all shapes fit.

    Raises:
        UnknownArchitectureError: The layers are no CIFAR ResNet's; names the layer.
    """
    split = split_blocks(parts)
    if not split.blocks:
        raise UnknownArchitectureError(
            "No layers are named in stages and blocks, as in layer1.0.conv1."
        )
    stem, stem_norm, head = _outside(split.outside)
    _check_numbers(tuple(split.blocks), "stage")
    normed = stem_norm is not None
    stages = []
    for i, (stage, blocks) in enumerate(split.blocks.items()):
        _check_numbers(tuple(f"{stage}.{block}" for block in blocks), "block")
        stages.append(
            tuple(
                read_block(f"{stage}.{block}", inside, 2 if i > 0 and j == 0 else 1, normed)
                for j, (block, inside) in enumerate(blocks.items())
            )
        )
    network = ReadResNet(stem, stem_norm, tuple(stages), head)
    _check_chain(network)
    return network


def _outside(parts: Sequence[Part]) -> tuple[Part, Part | None, Part]:
    convs = [part for part in parts if part.kind == "conv"]
    linears = [part for part in parts if part.kind == "linear"]
    norms = [part for part in parts if part.is_norm]
    for found, what in ((convs, "convolution (the stem)"), (linears, "linear layer (the head)")):
        if len(found) != 1:
            shown = f": {some_of([p.label for p in found])}" if found else ""
            raise UnknownArchitectureError(
                f"Outside the blocks there should be one {what}, there are {len(found)}{shown}."
            )
    stem, head = convs[0], linears[0]
    if stem.shape[2:] == (7, 7):
        raise UnknownArchitectureError(
            f"{stem.label}.weight {show_shape(stem.shape)} is the 7×7 stem of an ImageNet ResNet; "
            "those are known by torchvision's names only: conv1, layer1.0.conv1."
        )
    if stem.shape[2:] != (3, 3):
        raise UnknownArchitectureError(
            f"The stem {stem.label}.weight {show_shape(stem.shape)} is no 3×3 convolution."
        )
    if len(norms) > 1:
        raise UnknownArchitectureError(
            f"Outside the blocks there should be one norm, there are {len(norms)}: "
            f"{some_of([p.label for p in norms])}."
        )
    norm = norms[0] if norms else None
    _check_norm(norm, stem)
    return stem, norm, head


def read_block(label: str, inside: Inside, stride: int, normed: bool) -> ReadBlock:
    """Read one block's layers.

    Args:
        label: The block's name, for messages.
        inside: Its layers.
        stride: By its place: 2 in the first block of every stage but the first.
        normed: Whether the network has norms.

    Raises:
        UnknownArchitectureError: It is no block of two 3×3 convolutions; says why.
    """
    main = [part for name, part in inside if not is_shortcut(name)]
    aside = [part for name, part in inside if is_shortcut(name)]
    convs, norms = _convs_and_norms(label, main)
    side_convs, side_norms = _convs_and_norms(label, aside)
    if len(convs) == 3 and convs[0].shape[2:] == (1, 1):
        raise UnknownArchitectureError(
            f"{label} is a bottleneck of three convolutions, as in ResNet50; those are known "
            "by torchvision's names only: layer1.0.conv1, layer1.0.bn1."
        )
    if len(convs) != 2 or any(part.shape[2:] != (3, 3) for part in convs):
        shown = ", ".join(f"{p.label}.weight {show_shape(p.shape)}" for p in convs) or "none"
        raise UnknownArchitectureError(
            f"{label} should have two 3×3 convolutions beside its shortcut, it has: {shown}."
        )
    if len(norms) != (2 if normed else 0):
        raise UnknownArchitectureError(
            f"{label} should have {2 if normed else 0} norms beside its shortcut, as the stem has "
            f"{'one' if normed else 'none'}; it has {len(norms)}."
        )
    if len(side_convs) > 1 or len(side_norms) > len(side_convs):
        raise UnknownArchitectureError(
            f"The shortcut of {label} should be one convolution with a norm, it has "
            f"{len(side_convs)} and {len(side_norms)}."
        )
    padded = (*norms, None, None)
    shortcut = side_convs[0] if side_convs else None
    shortcut_norm = side_norms[0] if side_norms else None
    block = ReadBlock(
        label, convs[0], padded[0], convs[1], padded[1], shortcut, shortcut_norm, stride
    )
    _check_block(block)
    return block


def _convs_and_norms(label: str, parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    linear = next((part for part in parts if part.kind == "linear"), None)
    if linear is not None:
        raise UnknownArchitectureError(f"{label} holds a linear layer, {linear.label}.")
    return [p for p in parts if p.kind == "conv"], [p for p in parts if p.is_norm]


def _check_block(block: ReadBlock) -> None:
    if block.conv2.inputs != block.conv1.outputs:
        raise UnknownArchitectureError(_misfit(block.conv2, block.conv1))
    _check_norm(block.norm1, block.conv1)
    _check_norm(block.norm2, block.conv2)
    shortcut = block.shortcut
    if shortcut is None:
        return
    if shortcut.shape[2:] not in ((1, 1), (3, 3)):
        raise UnknownArchitectureError(
            f"The shortcut {shortcut.label}.weight {show_shape(shortcut.shape)} is neither 1×1 "
            "nor 3×3."
        )
    if shortcut.shape[:2] != (block.conv2.outputs, block.conv1.inputs):
        raise UnknownArchitectureError(
            f"The shortcut {shortcut.label}.weight {show_shape(shortcut.shape)} should lead from "
            f"{block.conv1.inputs} to {block.conv2.outputs} channels."
        )
    _check_norm(block.shortcut_norm, shortcut)


def _check_norm(norm: Part | None, conv: Part) -> None:
    if norm is not None and norm.outputs != conv.outputs:
        raise UnknownArchitectureError(
            f"The norm {norm.label} {show_shape(norm.shape)} does not fit the {conv.outputs} "
            f"channels of {conv.label}."
        )


def _check_chain(network: ReadResNet) -> None:
    before = network.stem
    for block in network.blocks:
        if block.conv1.inputs != before.outputs:
            raise UnknownArchitectureError(_misfit(block.conv1, before))
        if not block.widens or block.shortcut is not None:
            before = block.conv2
            continue
        if block.stride == 1:
            raise UnknownArchitectureError(
                f"{block.label} changes the width from {block.conv1.inputs} to "
                f"{block.conv2.outputs} without a shortcut convolution."
            )
        if block.conv2.outputs < block.conv1.inputs:
            raise UnknownArchitectureError(
                f"{block.label} narrows from {block.conv1.inputs} to {block.conv2.outputs} "
                "channels without a shortcut convolution."
            )
        before = block.conv2
    if network.head.inputs != before.outputs:
        raise UnknownArchitectureError(_misfit(network.head, before))
    _check_shortcuts(network)


def _check_shortcuts(network: ReadResNet) -> None:
    """All blocks that halve the image must have the same kind of shortcut."""
    halving = [block for block in network.blocks if block.stride > 1]
    kinds = {
        block.label: (block.shortcut.shape[2] if block.shortcut else 0, block.shortcut_norm is None)
        for block in halving
    }
    odd = next((label for label in kinds if kinds[label] != kinds[halving[0].label]), None)
    if odd is not None:
        raise UnknownArchitectureError(
            f"The shortcuts of {halving[0].label} and {odd} are not of one kind."
        )


def _misfit(part: Part, before: Part) -> str:
    return (
        f"{part.label}.weight {show_shape(part.shape)} takes {part.inputs} inputs, but "
        f"{before.label}.weight {show_shape(before.shape)} before it gives {before.outputs}."
    )


def _check_numbers(labels: Sequence[str], what: str) -> None:
    numbers = [numbers_in(label)[-1] for label in labels]
    for number, after, label in zip(numbers, numbers[1:], labels[1:], strict=False):
        if after != number + 1:
            raise UnknownArchitectureError(f"The {what} before {label} is missing.")
