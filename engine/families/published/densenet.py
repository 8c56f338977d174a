"""Recognise a DenseNet: `features.denseblock1.denselayer1.norm1`, `features.transition1.conv`, …

Key layout of torchvision and timm, and torchvision's of old (`norm.1`, `conv.1`). Any growth,
depth and stem width. Not handled: layers without a bottleneck, blocks of other names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout
from engine.families.published.densenet_module import DenseNet
from engine.families.published.draft import (
    IMAGE_SIZE,
    Draft,
    eps_of,
    eps_sentence,
    finished,
    image_sentence,
    image_side,
)
from engine.families.published.tree import Tree, tree_of

Overrides = Mapping[str, Any]
EPS = 1e-5
SMALL_IMAGE = 32
FIRST = "features.denseblock1.denselayer1"

# layers per block -> number of layers in all
DEPTHS: Mapping[tuple[int, ...], int] = {
    (6, 12, 24, 16): 121,
    (6, 12, 36, 24): 161,
    (6, 12, 32, 32): 169,
    (6, 12, 48, 32): 201,
}


def likeness(layout: Layout) -> float:
    """2 where the first dense layer has its published name."""
    return 2.0 if tree_of(layout).has(FIRST) else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a DenseNet in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    tree.first(FIRST)
    out, inputs, kernel, _ = tree.weight("features.conv0", 4)
    entries, paths = read_blocks(tree)
    classes, features = tree.weight("classifier", 2)
    final = tree.first("features.norm5", f"features.norm{len(entries) + 1}")
    paths |= {"stem": "features.conv0", "stem_norm": "features.norm0"}
    paths |= {"norm": final, "head": "classifier"}
    eps = eps_of(overrides, EPS)
    side = image_side(overrides, IMAGE_SIZE if kernel == 7 else SMALL_IMAGE)
    counts = tuple(len(entry["layers"]) for entry in entries)
    growth = entries[0]["layers"][0]["growth"]
    draft = Draft(
        title=f"DenseNet{DEPTHS.get(counts, 2 * sum(counts) + len(counts) + 1)}, growth {growth}",
        evidence=evidence_of(counts, growth, out, kernel, classes),
        assumptions=(
            "The activation is ReLU; norms come before convolutions, as in every DenseNet.",
            "The stem has stride 2 and a 3×3 max-pool behind it."
            if kernel == 7
            else "The stem has stride 1, no max-pool follows.",
            "Every transition averages 2×2.",
            image_sentence(side, overrides),
            eps_sentence(eps, overrides, "torchvision and timm"),
        ),
        config={
            "family": FAMILY.name,
            "stem": {"in": inputs, "out": out, "kernel": kernel},
            "eps": eps,
            "blocks": entries,
            "head": {"in": features, "out": classes, "bias": tree.bias("classifier")},
        },
        paths=paths,
        input_shape=(inputs, side, side),
        classes=classes,
    )
    return finished(draft, layout, tree, DenseNet)


def read_blocks(tree: Tree) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Read the dense blocks and the transitions between them, with where their tensors are."""
    entries: list[dict[str, Any]] = []
    paths: dict[str, str] = {}
    while tree.has(f"features.denseblock{len(entries) + 1}"):
        number, own = len(entries) + 1, f"blocks.{len(entries)}"
        layers, inside = read_layers(tree, f"features.denseblock{number}")
        transition = None
        path = f"features.transition{number}"
        if tree.has(path):
            out, inputs, _, _ = tree.weight(f"{path}.conv", 4)
            transition = {"in": inputs, "out": out}
            paths |= {f"{own}.norm": f"{path}.norm", f"{own}.conv": f"{path}.conv"}
        entries.append({"layers": layers, "transition": transition})
        paths |= {f"{own}.layers.{name}": path for name, path in inside.items()}
    missing = next((i for i, e in enumerate(entries[:-1], 1) if e["transition"] is None), None)
    if missing is not None:
        raise UnknownArchitectureError(f"There is no features.transition{missing}.")
    return entries, paths


def read_layers(tree: Tree, block: str) -> tuple[list[dict[str, int]], dict[str, str]]:
    """Read `denselayer1`, `denselayer2`, … of one block."""
    layers: list[dict[str, int]] = []
    paths: dict[str, str] = {}
    while tree.has(f"{block}.denselayer{len(layers) + 1}"):
        path = f"{block}.denselayer{len(layers) + 1}"
        for kind in ("norm", "conv"):
            for i in (1, 2):
                there = tree.first(f"{path}.{kind}{i}", f"{path}.{kind}.{i}")
                paths[f"{len(layers)}.{kind}{i}"] = there
        middle, inputs, _, _ = tree.weight(paths[f"{len(layers)}.conv1"], 4)
        growth = tree.weight(paths[f"{len(layers)}.conv2"], 4)[0]
        layers.append({"in": inputs, "middle": middle, "growth": growth})
    if not layers:
        raise UnknownArchitectureError(f"There is no {block}.denselayer1.")
    return layers, paths


def evidence_of(
    counts: Sequence[int], growth: int, stem: int, kernel: int, classes: int
) -> tuple[str, ...]:
    """Say what the names and shapes show."""
    return (
        f"{len(counts)} dense blocks of {', '.join(map(str, counts))} layers, each of which adds "
        f"{growth} channels to those it reads.",
        f"A {kernel}×{kernel} stem features.conv0 of {stem} channels; classifier leads to "
        f"{classes} classes.",
    )


FAMILY = Family(
    name="densenet",
    title="DenseNet (torchvision's and timm's names)",
    options=("image_size", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=DenseNet,
)
