"""Recognise a CIFAR ResNet (6n+2 layers and its kin) in a state dict.

Handles any number of stages, blocks and widths; BatchNorm, LayerNorm or none; the shortcuts
A, B and 3×3; the layouts of akamaster, kuangliu, chenyaofo (`downsample`, `fc`), REPAIR,
rethink-re-basin (`segments`), the PyTorch ports of Git Re-Basin (`blockgroup1.block1`,
`bn1.layer_norm`, `block_groups.0.blocks.0`) and weiaicunzai (`conv2_x.0.residual_function`).
Not handled: ImageNet stems, bottlenecks, pre-activation, option C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout, Part, show_shape
from engine.families.pieces import (
    activation_assumption,
    activation_entry,
    choice,
    norm_assumptions,
    norm_entry,
    norm_kind,
    norm_title,
    positive,
    trainable_scalars,
)
from engine.families.residual_names import split_blocks
from engine.families.resnet_blocks import ReadBlock, ReadResNet, read_resnet
from engine.families.resnet_module import ResNet

Overrides = Mapping[str, Any]
BASE_WIDTHS = {3: 16, 4: 64}  # He et al.: three stages from 16 on CIFAR, four from 64 on ImageNet


def likeness(layout: Layout) -> float:
    """1 where convolutions stand in stages and blocks."""
    split = split_blocks(layout.of("conv"))
    return 1.0 if split.blocks else 0.3 if layout.of("conv") else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a CIFAR ResNet in a state dict's layers.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    network = read_resnet(layout.parts)
    kind = norm_kind(layout.norms)
    image = image_size(network, overrides)
    activation = activation_entry(overrides)
    config, names = describe(network, activation, overrides)
    norm = config["stem"]["norm"]
    return Recognition(
        family="resnet",
        title=title_of(network, kind),
        evidence=(
            *block_evidence(network),
            shortcut_evidence(network),
            norm_sentence(network, kind),
            f"All {len(layout.shapes)} tensors are accounted for.",
        ),
        assumptions=(
            activation_assumption(activation, overrides),
            *stride_assumptions(network, overrides),
            f"Images are {image}×{image} (image_size=…); the last stage is averaged to 1×1.",
            *norm_assumptions([norm] if norm else [], image=True),
        ),
        config=config,
        input_shape=(network.stem.inputs, image, image),
        classes=network.head.outputs,
        parameters=trainable_scalars(layout),
        names=names,
    )


def image_size(network: ReadResNet, overrides: Overrides) -> int:
    """Image size: given, from a LayerNorm with a scale per pixel, else 32 (28 in grey).

    Raises:
        UnknownArchitectureError: A LayerNorm per pixel does not fit at its place.
    """
    stem_norm, grey = network.stem_norm, network.stem.inputs == 1
    seen = stem_norm.shape[1] if stem_norm is not None and len(stem_norm.shape) > 1 else None
    size = int(positive(overrides, "image_size", seen or (28 if grey else 32)))
    side = size
    checks: list[tuple[Part | None, int]] = [(stem_norm, side)]
    for block in network.blocks:
        side = -(-side // block.stride)
        checks += [(norm, side) for norm in (block.norm1, block.norm2, block.shortcut_norm)]
    for norm, expected in checks:
        if norm is not None and len(norm.shape) > 1 and norm.shape[1:] != (expected, expected):
            raise UnknownArchitectureError(
                f"The norm {norm.label} {show_shape(norm.shape)} does not fit the "
                f"{expected}×{expected} image at its place."
            )
    return size


def describe(
    network: ReadResNet, activation: str, overrides: Overrides
) -> tuple[dict[str, Any], dict[str, str]]:
    """Describe the network as JSON, with the names of its tensors."""
    names = network.stem.names("stem_conv") | network.head.names("head")
    names |= _names(network.stem_norm, "stem_norm")
    stages = []
    for i, stage in enumerate(network.stages):
        stages.append([_block_entry(block, overrides) for block in stage])
        for j, block in enumerate(stage):
            owner = f"stages.{i}.{j}"
            for leaf in ("conv1", "norm1", "conv2", "norm2"):
                names |= _names(getattr(block, leaf), f"{owner}.{leaf}")
            names |= _names(block.shortcut, f"{owner}.shortcut_conv")
            names |= _names(block.shortcut_norm, f"{owner}.shortcut_norm")
    head = network.head
    config = {
        "family": "resnet",
        "activation": activation,
        "stem": {
            "conv": _conv_entry(network.stem, 1),
            "norm": _norm(network.stem_norm, overrides),
        },
        "stages": stages,
        "head": {"in": head.inputs, "out": head.outputs, "bias": head.bias},
    }
    return config, names


def _names(part: Part | None, owner: str) -> dict[str, str]:
    return {} if part is None else part.names(owner)


def _norm(part: Part | None, overrides: Overrides) -> dict[str, Any] | None:
    return None if part is None else norm_entry(part, overrides, image=True)


def _conv_entry(part: Part, stride: int) -> dict[str, Any]:
    return {
        "in": part.inputs,
        "out": part.outputs,
        "kernel": part.shape[2],
        "stride": stride,
        "bias": part.bias,
    }


def _block_entry(block: ReadBlock, overrides: Overrides) -> dict[str, Any]:
    if block.shortcut is not None:
        shortcut: dict[str, Any] | None = {
            "conv": _conv_entry(block.shortcut, block.stride),
            "norm": _norm(block.shortcut_norm, overrides),
        }
    elif block.widens:
        missing = block.conv2.outputs - block.conv1.inputs
        before = missing // 2 if _padding(overrides) == "both" else 0
        shortcut = {"pad": [before, missing - before], "stride": block.stride}
    else:
        shortcut = None
    return {
        "conv1": _conv_entry(block.conv1, block.stride),
        "norm1": _norm(block.norm1, overrides),
        "conv2": _conv_entry(block.conv2, 1),
        "norm2": _norm(block.norm2, overrides),
        "shortcut": shortcut,
    }


def _padding(overrides: Overrides) -> str:
    return choice(overrides, "shortcut_padding", ("both", "end"), "both")


def option(network: ReadResNet) -> str | None:
    """Return the kind of shortcut: A, B, 3×3, or None where every one is the identity."""
    halving = next((block for block in network.blocks if block.stride > 1), None)
    if halving is None:
        return None
    if halving.shortcut is None:
        return "A"
    return "B" if halving.shortcut.shape[2] == 1 else "3×3"


def title_of(network: ReadResNet, kind: str) -> str:
    base, first = BASE_WIDTHS.get(len(network.stages), 16), network.widths[0]
    doubled = network.widths == tuple(first * 2**i for i in range(len(network.widths)))
    width = f" ×{first / base:g}" if doubled else " " + "-".join(map(str, network.widths))
    shortcut = f", shortcut {option(network)}" if option(network) else ""
    return f"ResNet{2 * len(network.blocks) + 2}{width}, {norm_title(kind)}{shortcut}"


def block_evidence(network: ReadResNet) -> tuple[str, ...]:
    """Say what the blocks show."""
    counts = [len(stage) for stage in network.stages]
    equal = len(counts) == 3 and len(set(counts)) == 1
    layers = 2 * sum(counts) + 2
    rule = f"6·{counts[0]}+2 = {layers}" if equal else f"2·{sum(counts)}+2 = {layers}"
    return (
        f"{sum(counts)} residual blocks of two 3×3 convolutions in {len(counts)} stages "
        f"({', '.join(map(str, counts))}) make {rule} layers.",
        f"Widths {'-'.join(map(str, network.widths))} behind the 3×3 stem {network.stem.label}; "
        f"{network.head.label} leads to {network.head.outputs} classes.",
    )


def shortcut_evidence(network: ReadResNet) -> str:
    """Say which shortcut is used, and what shows it."""
    kind = option(network)
    halving = [block for block in network.blocks if block.stride > 1]
    if kind is None:
        return "One stage: every shortcut is the identity."
    if kind == "A":
        return f"Shortcut A: no tensors at {halving[0].label} although a stage begins there."
    shortcut = halving[0].shortcut
    assert shortcut is not None
    size = "1×1" if kind == "B" else "3×3"
    return f"Shortcut {kind}: a {size} convolution at {shortcut.label}."


def norm_sentence(network: ReadResNet, kind: str) -> str:
    if network.stem_norm is None:
        return "There is no norm."
    why = "running statistics" if kind == "batch" else "a scale and no running statistics"
    return f"{norm_title(kind)} behind every convolution ({network.stem_norm.label}, …): {why}."


def stride_assumptions(network: ReadResNet, overrides: Overrides) -> list[str]:
    """Say what shapes do not show of strides and of option A."""
    said = []
    if len(network.stages) > 1:
        said.append("The first block of every stage but the first has stride 2.")
    if option(network) == "A":
        where = "on both sides" if _padding(overrides) == "both" else "at the end"
        said.append(
            f"Option A takes every second pixel and adds zero channels {where} "
            "(shortcut_padding=both|end)."
        )
    return said


FAMILY = Family(
    name="resnet",
    title="CIFAR ResNet (a 3×3 stem, then stages of residual blocks)",
    options=("activation", "image_size", "layer_norm", "norm_eps", "shortcut_padding"),
    likeness=likeness,
    recognise=recognise,
    build=ResNet,
)
