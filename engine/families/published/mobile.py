"""Recognise MobileNetV2 and V3, EfficientNet and EfficientNetV2 (torchvision's, timm's names).

Any widths, kernels and squeeze-excite sizes; any depth where the names tell the stages. Not
handled: other blocks of timm's (attention, mixed kernels, space-to-depth stems).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.layout import Layout
from engine.families.pieces import choice
from engine.families.published.draft import (
    Draft,
    eps_of,
    eps_sentence,
    finished,
    image_sentence,
    image_side,
)
from engine.families.published.mobile_module import MobileNet
from engine.families.published.mobile_names import BlockNames, Layer, NetworkNames, names_of
from engine.families.published.mobile_variants import Variant, stages_of, strides_of, variant_of
from engine.families.published.tree import Tree, tree_of

Overrides = Mapping[str, Any]
TIMM_EPS = 1e-5
TENSORFLOW_EPS = 1e-3


def likeness(layout: Layout) -> float:
    """2 where stem and first block have published names."""
    tree = tree_of(layout)
    if tree.has("conv_stem.weight") and tree.has("blocks.0.0"):
        return 2.0
    inner = ("features.1.0.block", "features.1.block", "features.1.conv")
    stem = tree.has("features.0.1.running_mean")
    return 2.0 if stem and any(tree.has(path) for path in inner) else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise such a network in a state dict's names and shapes.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    tree = tree_of(layout)
    names = names_of(tree)
    if names is None:
        raise UnknownArchitectureError("It has no network of inverted residuals' published names.")
    variant = variant_of(tree, names)
    stages = stages_of(names, variant)
    strides = strides_of(len(stages), variant, overrides)
    stem = conv_entry(tree, names.stem[0], tree.weight(names.stem[0], 4)[1], 2)
    entries, paths = read_blocks(tree, stages, strides, variant, stem["out"])
    last, hidden, head = read_end(tree, names, entries[-1]["convs"][-1]["out"])
    paths |= _layer("stem", "stem_norm", names.stem) | {"head": names.head}
    paths |= _layer("last", "last_norm", names.last) if names.last else {}
    paths |= {"hidden": names.hidden} if names.hidden else {}
    padding = choice(overrides, "padding", ("static", "same"), "static")
    eps = eps_of(overrides, default_eps(names, variant, padding))
    side = image_side(overrides)
    draft = Draft(
        title=f"{variant.title}, stem {stem['out']}",
        evidence=evidence_of(names, stages, entries, head["out"]),
        assumptions=(
            *variant_sentences(variant, strides, names.library, padding),
            image_sentence(side, overrides),
            eps_sentence(eps, overrides, names.library),
        ),
        config={
            "family": FAMILY.name,
            "activation": variant.activation,
            "excitation_activation": variant.excitation[0],
            "excitation_gate": variant.excitation[1],
            "padding": padding,
            "eps": eps,
            "stem": stem,
            "blocks": entries,
            "last": last,
            "hidden": hidden,
            "head": head,
        },
        paths=paths,
        input_shape=(stem["in"], side, side),
        classes=head["out"],
    )
    return finished(draft, layout, tree, MobileNet)


def default_eps(names: NetworkNames, variant: Variant, padding: str) -> float:
    """Return the eps that a library gives its BatchNorms; with TensorFlow's padding, its eps."""
    if padding == "same":
        return TENSORFLOW_EPS
    return TIMM_EPS if names.library == "timm" else variant.eps


def _layer(conv: str, norm: str, layer: Layer) -> dict[str, str]:
    return {conv: layer[0], norm: layer[1]}


def conv_entry(tree: Tree, path: str, before: int, stride: int) -> dict[str, int]:
    """Describe a convolution that gets `before` channels.

    Raises:
        UnknownArchitectureError: It takes no part of them.
    """
    out, inputs, kernel, _ = tree.weight(path, 4)
    if before % inputs:
        raise UnknownArchitectureError(f"{path} takes {inputs} channels of {before}.")
    groups = before // inputs
    if out % groups:
        raise UnknownArchitectureError(
            f"{path} makes {out} channels in {groups} groups; each group must make as many."
        )
    return {"in": before, "out": out, "kernel": kernel, "stride": stride, "groups": groups}


def read_blocks(
    tree: Tree,
    stages: Sequence[Sequence[BlockNames]],
    strides: Sequence[int],
    variant: Variant,
    channels: int,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Describe all blocks as JSON, with where their tensors are.

    Args:
        tree: The names.
        stages: Blocks by stage.
        strides: Of the first block of every stage.
        variant: The published network.
        channels: That come from the stem.
    """
    entries: list[dict[str, Any]] = []
    paths: dict[str, str] = {}
    for s, blocks in enumerate(stages):
        early, until = variant.early
        activation = early if s < until else variant.activation
        for b, block in enumerate(blocks):
            own = f"blocks.{len(entries)}"
            entries.append(block_entry(tree, block, channels, 1 if b else strides[s], activation))
            channels = entries[-1]["convs"][-1]["out"]
            for i, layer in enumerate(block.layers):
                paths |= _layer(f"{own}.convs.{i}", f"{own}.norms.{i}", layer)
            if block.excitation:
                reduce, expand, _ = block.excitation
                paths |= {f"{own}.excitation.reduce": reduce, f"{own}.excitation.expand": expand}
    return entries, paths


def block_entry(
    tree: Tree, block: BlockNames, channels: int, stride: int, activation: str
) -> dict[str, Any]:
    """Describe one block; its stride is on the depthwise convolution, else on the first."""
    convs: list[dict[str, int]] = []
    before = channels
    for conv, _ in block.layers:
        convs.append(conv_entry(tree, conv, before, 1))
        before = convs[-1]["out"]
    depthwise = (i for i, conv in enumerate(convs) if conv["groups"] > 1)
    convs[next(depthwise, 0)]["stride"] = stride
    excitation = None
    if block.excitation:
        reduced, excited, _, _ = tree.weight(block.excitation[0], 4)
        excitation = {"channels": excited, "reduced": reduced, "after": block.excitation[2]}
    return {
        "convs": convs,
        "activation": activation,
        "excitation": excitation,
        "skip": stride == 1 and channels == convs[-1]["out"],
    }


def read_end(
    tree: Tree, names: NetworkNames, channels: int
) -> tuple[dict[str, int] | None, dict[str, Any] | None, dict[str, Any]]:
    """Describe the last convolution, the layer before the head, and the head."""
    last = conv_entry(tree, names.last[0], channels, 1) if names.last else None
    hidden = None
    if names.hidden:
        shape = tree.shape(f"{names.hidden}.weight")
        hidden = {
            "kind": "conv" if len(shape) == 4 else "linear",
            "in": shape[1],
            "out": shape[0],
            "bias": tree.bias(names.hidden),
        }
    classes, features = tree.weight(names.head, 2)
    return last, hidden, {"in": features, "out": classes, "bias": tree.bias(names.head)}


def evidence_of(
    names: NetworkNames,
    stages: Sequence[Sequence[BlockNames]],
    entries: Sequence[Mapping[str, Any]],
    classes: int,
) -> tuple[str, ...]:
    """Say what the names and shapes show."""
    excited = sum(entry["excitation"] is not None for entry in entries)
    widths = "-".join(
        str(entry["convs"][-1]["out"]) for entry in entries[:: max(1, len(entries) // 8)]
    )
    counts = ", ".join(str(len(stage)) for stage in stages)
    return (
        f"{names.library}'s names: {len(entries)} blocks with depthwise or fused convolutions in "
        f"{len(stages)} stages ({counts}); {excited} of them with squeeze-excite.",
        f"Widths {widths} …; {names.head} leads to {classes} classes.",
    )


def variant_sentences(
    variant: Variant, strides: Sequence[int], library: str, padding: str
) -> list[str]:
    """Say what is taken from the published network, as no tensor shows it."""
    until = variant.early[1]
    early = f" ({variant.early[0]} in the first {until} stages)" if until else ""
    said = [
        f"The activation is {variant.activation}{early}, as in {variant.title}.",
        f"The stem has stride 2, the stages {', '.join(map(str, strides))} (strides=[…]).",
    ]
    if library == "timm" and padding == "static":
        said.append("Convolutions pad evenly; timm's tf_ models need padding=same.")
    elif padding == "same":
        said.append("Convolutions pad like TensorFlow, as given.")
    return said


FAMILY = Family(
    name="mobilenet",
    title="MobileNet or EfficientNet (torchvision's or timm's names)",
    options=("image_size", "norm_eps", "padding", "strides"),
    likeness=likeness,
    recognise=recognise,
    build=MobileNet,
)
