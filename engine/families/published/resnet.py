"""Recognise ResNets with bottlenecks or an ImageNet stem, Wide ResNets and ResNeXts.

Key layout of torchvision and timm: `conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.bn1`, …,
`layer1.0.downsample.0`, `layer1.0.downsample.1`, `fc`; also kuangliu's, with `shortcut` and
`linear` and a 3×3 stem. Any widths, depths and groups. Not handled: deep stems, squeeze-excite,
anti-aliasing, pre-activation, shortcuts without tensors where the shape changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout, show_shape
from engine.families.published.draft import (
    IMAGE_SIZE,
    Draft,
    eps_of,
    eps_sentence,
    finished,
    image_sentence,
    image_side,
)
from engine.families.published.resnet_module import ImageNetResNet
from engine.families.published.tree import Tree, tree_of

Overrides = Mapping[str, Any]
EPS = 1e-5
BASE_WIDTH = 64
SMALL_IMAGE = 32
EXPANSION = 4  # a published bottleneck widens its width fourfold

# (convolutions per block, blocks per stage) -> number of layers
DEPTHS: Mapping[tuple[int, tuple[int, ...]], int] = {
    (2, (2, 2, 2, 2)): 18,
    (2, (3, 4, 6, 3)): 34,
    (3, (2, 2, 2, 2)): 26,
    (3, (3, 4, 6, 3)): 50,
    (3, (3, 4, 23, 3)): 101,
    (3, (3, 8, 36, 3)): 152,
}


@dataclass(frozen=True)
class ReadBlock:
    """One block: its path, its entry for the module, and where its tensors are."""

    path: str
    entry: dict[str, Any]
    paths: dict[str, str]

    @property
    def convs(self) -> list[dict[str, int]]:
        return self.entry["convs"]


def likeness(layout: Layout) -> float:
    """2 where stem, first block and head have the published names."""
    tree = tree_of(layout)
    anchors = ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight")
    return 2.0 if all(tree.has(name) for name in anchors) and _special(tree) else 0.0


def _special(tree: Tree) -> bool:
    """Whether this is beyond the family of small residual networks: stem 7×7 or bottlenecks."""
    stem = tree.shapes.get("conv1.weight", ())
    return stem[2:] == (7, 7) or tree.has("layer1.0.conv3")


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise such a network in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    tree.first("layer1.0.conv1")
    if not _special(tree):
        raise UnknownArchitectureError("It has neither a 7×7 stem conv1 nor bottlenecks.")
    stem = tree.weight("conv1", 4)
    if stem[2:] not in ((7, 7), (3, 3)):
        raise UnknownArchitectureError(f"The stem {show_shape(stem)} is neither 7×7 nor 3×3.")
    stages = read_stages(tree)
    blocks = [block for stage in stages for block in stage]
    head = tree.first("fc", "linear", "classifier", "head")
    classes, features = tree.weight(head, 2)
    side = image_side(overrides, IMAGE_SIZE if stem[2] == 7 else SMALL_IMAGE)
    eps = eps_of(overrides, EPS)
    paths = {"stem": "conv1", "stem_norm": "bn1", "head": head}
    for i, block in enumerate(blocks):
        paths |= {f"blocks.{i}.{own}": path for own, path in block.paths.items()}
    draft = Draft(
        title=title_of(stem, stages),
        evidence=evidence_of(stem, stages, head, classes),
        assumptions=(
            *stride_sentences(blocks, stem[2], len(stages)),
            image_sentence(side, overrides),
            eps_sentence(eps, overrides, "torchvision and timm"),
        ),
        config={
            "family": FAMILY.name,
            "stem": {"in": stem[1], "out": stem[0], "kernel": stem[2]},
            "eps": eps,
            "blocks": [block.entry for block in blocks],
            "head": {"in": features, "out": classes, "bias": tree.bias(head)},
        },
        paths=paths,
        input_shape=(stem[1], side, side),
        classes=classes,
    )
    return finished(draft, layout, tree, ImageNetResNet)


def read_stages(tree: Tree) -> list[list[ReadBlock]]:
    """Read the blocks of `layer1`, `layer2`, …; all must have as many convolutions."""
    stages: list[list[ReadBlock]] = []
    while tree.has(f"layer{len(stages) + 1}"):
        stage = len(stages) + 1
        stages.append(
            [
                read_block(tree, f"layer{stage}.{number}", stride=2 if stage > 1 > number else 1)
                for number in tree.in_order(f"layer{stage}")
            ]
        )
    first = stages[0][0]
    for block in (block for stage in stages for block in stage):
        if len(block.convs) != len(first.convs):
            raise UnknownArchitectureError(
                f"{block.path} has {len(block.convs)} convolutions, {first.path} "
                f"{len(first.convs)}."
            )
    return stages


def read_block(tree: Tree, path: str, stride: int) -> ReadBlock:
    """Read one block.

    Args:
        tree: The names.
        path: The block's.
        stride: By its place: 2 in the first block of every stage but the first.

    Raises:
        UnknownArchitectureError: It is no such block; names the tensor.
    """
    count = 3 if tree.has(f"{path}.conv3") else 2
    strided = 1 if count == 3 else 0  # the 3×3 convolution of a bottleneck, else the first
    convs, paths = [], {}
    before = tree.weight(f"{path}.conv1", 4)[1]
    for i in range(count):
        out, inputs, kernel, _ = tree.weight(f"{path}.conv{i + 1}", 4)
        if before % inputs:
            raise UnknownArchitectureError(
                f"{path}.conv{i + 1} takes {inputs} channels, no part of the {before} before it."
            )
        convs.append(
            {
                "in": before,
                "out": out,
                "kernel": kernel,
                "stride": stride if i == strided else 1,
                "groups": before // inputs,
            }
        )
        paths |= {f"convs.{i}": f"{path}.conv{i + 1}", f"norms.{i}": f"{path}.bn{i + 1}"}
        before = out
    shortcut = None
    for name in ("downsample", "shortcut"):
        if tree.has(f"{path}.{name}"):
            out, inputs, _, _ = tree.weight(f"{path}.{name}.0", 4)
            shortcut = {"in": inputs, "out": out, "stride": stride}
            paths |= {"shortcut": f"{path}.{name}.0", "shortcut_norm": f"{path}.{name}.1"}
    if shortcut is None and (stride > 1 or convs[0]["in"] != before):
        raise UnknownArchitectureError(
            f"{path} changes the image or its channels, but has no shortcut convolution."
        )
    return ReadBlock(path, {"convs": convs, "shortcut": shortcut}, paths)


def title_of(stem: Sequence[int], stages: Sequence[Sequence[ReadBlock]]) -> str:
    """Name the published variant, and the width where it is another."""
    counts, first = tuple(len(stage) for stage in stages), stages[0][0].convs
    layers = DEPTHS.get((len(first), counts), len(first) * sum(counts) + 2)
    groups, width = first[-2 if len(first) == 3 else 0]["groups"], first[0]["out"]
    scale = "" if stem[0] == BASE_WIDTH else f" ×{stem[0] / BASE_WIDTH:g}"
    small = ", 3×3 stem" if stem[2] == 3 else ""
    if groups > 1:
        return f"ResNeXt{layers} {groups}×{width // groups}d{scale}{small}"
    if len(first) == 3 and width != first[-1]["out"] // EXPANSION:
        return f"Wide ResNet{layers}-{width * EXPANSION / first[-1]['out']:g}{scale}{small}"
    return f"ResNet{layers}{scale}{small}"


def evidence_of(
    stem: Sequence[int], stages: Sequence[Sequence[ReadBlock]], head: str, classes: int
) -> tuple[str, ...]:
    """Say what the names and shapes show."""
    blocks = [block for stage in stages for block in stage]
    first = blocks[0].convs
    kind = "bottlenecks (1×1, 3×3, 1×1)" if len(first) == 3 else "blocks of two 3×3 convolutions"
    widths = "-".join(str(stage[-1].convs[-1]["out"]) for stage in stages)
    said = [
        f"A {stem[2]}×{stem[2]} stem conv1 of {stem[0]} channels, then {len(blocks)} {kind} in "
        f"{len(stages)} stages ({', '.join(str(len(stage)) for stage in stages)}) of widths "
        f"{widths}.",
        f"BatchNorm behind every convolution; {head} leads to {classes} classes.",
    ]
    grouped = next(
        ((b.path, i, c) for b in blocks for i, c in enumerate(b.convs) if c["groups"] > 1), None
    )
    if grouped is not None:
        path, i, conv = grouped
        said.append(
            f"{path}.conv{i + 1} takes {conv['in'] // conv['groups']} of {conv['in']} channels: "
            f"{conv['groups']} groups."
        )
    return tuple(said)


def stride_sentences(blocks: Sequence[ReadBlock], kernel: int, stages: int) -> list[str]:
    """Say what shapes do not show: strides, the max-pool and the activation."""
    said = ["The activation is ReLU, as in every published ResNet."]
    stem = "The stem has stride 2 and a 3×3 max-pool behind it"
    said.append(f"{stem}." if kernel == 7 else "The stem has stride 1, no max-pool follows.")
    if stages > 1:
        where = "on its 3×3 convolution" if len(blocks[0].convs) == 3 else "on its first"
        said.append(f"The first block of every stage but the first has stride 2, {where}.")
    return said


FAMILY = Family(
    name="imagenet_resnet",
    title="ResNet, Wide ResNet or ResNeXt (torchvision's and timm's names)",
    options=("image_size", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=ImageNetResNet,
)
