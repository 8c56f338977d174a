"""Recognise a VGG: a chain of 3×3 convolutions, then a chain of linear layers.

Handles any widths and depths, no norm, BatchNorm or LayerNorm, and the layouts of kuangliu's
pytorch-cifar (`features.N`, `classifier`), torchvision (`classifier.0/3/6`), chengyangfu
(`features.module.N`, `classifier.1/4/6`), chenyaofo, REPAIR and rethink-re-basin
(`classifier.0`), and any other names in the same structure. Simonyan & Zisserman 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.chain import attach_norms, order_by_chain
from engine.families.family import Family, Recognition
from engine.families.layout import Layout, Part, show_shape, some_of
from engine.families.mlp import bias_sentence, count, linear_entries
from engine.families.pieces import (
    activation_assumption,
    activation_entry,
    norm_assumptions,
    norm_entry,
    norm_kind,
    norm_title,
    trainable_scalars,
)
from engine.families.residual_names import split_blocks
from engine.families.vgg_module import VGG
from engine.families.vgg_pools import Pooling, Sizes, find_pools, find_sizes, known_pattern

Overrides = Mapping[str, Any]
BASE_WIDTH = 64


def likeness(layout: Layout) -> float:
    """1 for plain convolutions and linear layers, less with blocks or other kernels."""
    convs = layout.of("conv")
    if not convs or split_blocks(layout.parts).blocks:
        return 0.2 if convs else 0.0
    return 0.5 + 0.5 * sum(part.shape[2:] == (3, 3) for part in convs) / len(convs)


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a VGG in a state dict's layers.

    Raises:
        UnknownArchitectureError: It is none; says why.
        SpecError: An override is not possible.
    """
    convs, head, order = ordered_layers(layout)
    kind = norm_kind(layout.norms)
    attached = attach_norms((*convs, *head), layout.norms)
    normed = all(part.path in attached for part in convs)
    pooling = find_pools(convs, normed, overrides)
    sizes = find_sizes(convs, head, pooling, overrides)
    check_norm_sizes(convs, attached, pooling, sizes)
    entries, names = conv_entries(convs, attached, pooling, overrides)
    head_entries, head_names = linear_entries(head, attached, overrides, "head")
    activation = activation_entry(overrides)
    widths = (head[0].inputs, *(part.outputs for part in head))
    return Recognition(
        family="vgg",
        title=title_of(convs, head, kind),
        evidence=(
            *conv_evidence(convs, order),
            *norm_evidence(convs, attached, kind),
            pooling.evidence,
            f"Linear layers {' → '.join(map(str, widths))}: "
            f"{convs[-1].outputs} channels of {sizes.head}×{sizes.head} come in.",
            f"All {len(layout.shapes)} tensors are accounted for.",
        ),
        assumptions=(
            activation_assumption(activation, overrides),
            *sizes.assumptions,
            *norm_assumptions([e["norm"] for e in entries if e["norm"]], image=True),
        ),
        config={
            "family": "vgg",
            "activation": activation,
            "convolutions": entries,
            "final_pool": sizes.final_pool,
            "head_size": sizes.head,
            "head": head_entries,
        },
        input_shape=(convs[0].inputs, sizes.image, sizes.image),
        classes=head[-1].outputs,
        parameters=trainable_scalars(layout),
        names=names | head_names,
    )


def ordered_layers(layout: Layout) -> tuple[tuple[Part, ...], tuple[Part, ...], str]:
    """Return convolutions and linear layers in order, with the sentence on the order.

    Raises:
        UnknownArchitectureError: The layers are no VGG's.
    """
    convs, linears = layout.of("conv"), layout.of("linear")
    if not convs or not linears:
        missing = "convolution" if not convs else "linear layer"
        raise UnknownArchitectureError(f"There is no {missing}, a VGG has some.")
    for part in convs:
        if part.shape[2:] != (3, 3):
            raise UnknownArchitectureError(
                f"{part.label}.weight {show_shape(part.shape)} is no 3×3 convolution, as all of a "
                "VGG's are."
            )
    if blocks := split_blocks(layout.parts).blocks:
        first = next(iter(next(iter(blocks.values())).values()))
        raise UnknownArchitectureError(
            f"{first[0][1].label} stands in a block, as in a residual network; a VGG is one chain."
        )
    ordered, order = order_by_chain(convs)
    if len({part.bias for part in ordered}) > 1:
        odd = next(part for part in ordered if part.bias != ordered[0].bias)
        raise UnknownArchitectureError(
            f"{odd.label} has {'a' if odd.bias else 'no'} bias, unlike {ordered[0].label}."
        )
    return ordered, order_by_chain(linears)[0], order


def conv_entries(
    convs: Sequence[Part], attached: Mapping[str, Part], pooling: Pooling, overrides: Overrides
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Describe the convolutions as JSON, with the names of their tensors."""
    entries, names = [], {}
    for i, part in enumerate(convs):
        norm = attached.get(part.path)
        entries.append(
            {
                "in": part.inputs,
                "out": part.outputs,
                "kernel": part.shape[2],
                "bias": part.bias,
                "norm": None if norm is None else norm_entry(norm, overrides, image=True),
                "pool": i + 1 in pooling.after and i + 1 < len(convs),
            }
        )
        names |= part.names(f"conv.{i}")
        names |= {} if norm is None else norm.names(f"norm.{i}")
    return entries, names


def check_norm_sizes(
    convs: Sequence[Part], attached: Mapping[str, Part], pooling: Pooling, sizes: Sizes
) -> None:
    """A LayerNorm with a scale per pixel must have the image's size at its place."""
    side = sizes.image
    for i, part in enumerate(convs):
        norm = attached.get(part.path)
        if norm is not None and len(norm.shape) > 1 and norm.shape[1:] != (side, side):
            raise UnknownArchitectureError(
                f"The norm {norm.label} {show_shape(norm.shape)} does not fit the {side}×{side} "
                "image at its place (image_size=…, pools=[…])."
            )
        side = side // 2 if i + 1 in pooling.after else side


def conv_evidence(convs: Sequence[Part], order: str) -> tuple[str, ...]:
    """Say what the convolutions show."""
    pattern = known_pattern(convs)
    channels = "-".join(str(part.outputs) for part in convs)
    known = f", {pattern}'s at width ×{convs[0].outputs / BASE_WIDTH:g}" if pattern else ""
    return (
        f"{count(convs, 'convolution')} of 3×3 in one chain, channels {channels}{known}.",
        order,
        bias_sentence(convs),
    )


def norm_evidence(
    convs: Sequence[Part], attached: Mapping[str, Part], kind: str
) -> tuple[str, ...]:
    """Say where the norms are."""
    if kind == "none":
        return ("There is no norm.",)
    normed = [part.label for part in convs if part.path in attached]
    shown = "every convolution" if len(normed) == len(convs) else some_of(normed)
    why = "running statistics" if kind == "batch" else "a scale and no running statistics"
    return (f"{norm_title(kind)} behind {shown or 'linear layers'}: {why}.",)


def title_of(convs: Sequence[Part], head: Sequence[Part], kind: str) -> str:
    pattern = known_pattern(convs)
    name = (
        f"{pattern} ×{convs[0].outputs / BASE_WIDTH:g}"
        if pattern
        else (f"VGG-like, {len(convs)} convolutions and {len(head)} linear layers")
    )
    return f"{name}, {norm_title(kind)}"


FAMILY = Family(
    name="vgg",
    title="VGG (a chain of 3×3 convolutions, then linear layers)",
    options=("activation", "pools", "final_pool", "image_size", "layer_norm", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=VGG,
)
