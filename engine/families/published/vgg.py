"""Recognise timm's VGG: `features.N`, `pre_logits.fc1`, `pre_logits.fc2`, `head.fc`.

torchvision's VGG, whose head is linear, is recognised by `engine.families.vgg`. Any widths;
with BatchNorm or without. The max-pools follow from the index gaps of the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout
from engine.families.published.draft import (
    Draft,
    eps_of,
    eps_sentence,
    finished,
    image_sentence,
    image_side,
)
from engine.families.published.tree import Tree, tree_of
from engine.families.published.vgg_module import ConvolvedVGG

Overrides = Mapping[str, Any]
EPS = 1e-5
LAYERS = {8: 11, 10: 13, 13: 16, 16: 19}  # convolutions -> the published variant


def likeness(layout: Layout) -> float:
    """2 where the head has timm's names."""
    tree = tree_of(layout)
    return 2.0 if tree.has("pre_logits.fc1") and tree.has("features.0") else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise timm's VGG in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    tree.first("pre_logits.fc1.weight")
    entries, paths = read_features(tree)
    hidden, _, window, _ = tree.weight("pre_logits.fc1", 4)
    classes, features = tree.weight("head.fc", 2)
    eps, side = eps_of(overrides, EPS), image_side(overrides)
    normed = entries[0]["norm"]
    name = f"VGG{LAYERS.get(len(entries), len(entries) + 3)}"
    draft = Draft(
        title=f"{name}, timm's, {'BatchNorm' if normed else 'no norm'}",
        evidence=(
            f"timm's names: {len(entries)} convolutions of widths "
            f"{'-'.join(str(entry['out']) for entry in entries)}, max-pools by the gaps of their "
            "numbers, then pre_logits.fc1, pre_logits.fc2 and head.fc.",
            f"{'A BatchNorm follows every convolution' if normed else 'There is no norm'}; "
            f"head.fc leads to {classes} classes.",
        ),
        assumptions=(
            "The activation is ReLU, as in every VGG.",
            image_sentence(side, overrides),
            *([eps_sentence(eps, overrides, "timm")] if normed else []),
        ),
        config={
            "family": FAMILY.name,
            "convolutions": entries,
            "eps": eps,
            "window": window,
            "hidden": hidden,
            "out": tree.weight("pre_logits.fc2", 4)[0],
            "head": {"in": features, "out": classes, "bias": tree.bias("head.fc")},
        },
        paths=paths | {"first": "pre_logits.fc1", "second": "pre_logits.fc2", "head": "head.fc"},
        input_shape=(entries[0]["in"], side, side),
        classes=classes,
    )
    return finished(draft, layout, tree, ConvolvedVGG)


def read_features(tree: Tree) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Describe the convolutions, with where their tensors are.

    Raises:
        UnknownArchitectureError: The numbers between two convolutions leave no plain gap.
    """
    numbers = tree.numbered("features")
    convs = [n for n in numbers if len(tree.shapes.get(f"features.{n}.weight", ())) == 4]
    if not convs:
        raise UnknownArchitectureError("features holds no convolution.")
    normed = tree.has(f"features.{convs[0] + 1}.running_mean")
    plain = 3 if normed else 2  # convolution, norm, activation
    pools = []
    for number, after in pairwise(convs):
        if after - number not in (plain, plain + 1):
            raise UnknownArchitectureError(
                f"Between features.{number} and features.{after} no max-pool can be told."
            )
        pools.append(after - number > plain)
    entries, paths = [], {}
    for i, (number, pool) in enumerate(zip(convs, [*pools, True], strict=True)):
        out, inputs, kernel, _ = tree.weight(f"features.{number}", 4)
        entries.append(
            {
                "in": inputs,
                "out": out,
                "kernel": kernel,
                "bias": tree.bias(f"features.{number}"),
                "norm": normed,
                "pool": pool,
            }
        )
        paths |= {f"convs.{i}": f"features.{number}"}
        paths |= {f"norms.{i}": f"features.{number + 1}"} if normed else {}
    return entries, paths


FAMILY = Family(
    name="timm_vgg",
    title="VGG (timm's names)",
    options=("image_size", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=ConvolvedVGG,
)
