"""Recognise an MLP: every weight a matrix, the matrices one chain.

Handles any `nn.Sequential` and named linear stacks, with or without bias, BatchNorm1d or
LayerNorm behind layers and in front of the first. Skip connections cannot be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UnknownArchitectureError
from engine.families.chain import attach_norms, index_gap, order_by_chain
from engine.families.family import Family, Recognition
from engine.families.layout import Layout, Part, natural_key, some_of
from engine.families.mlp_module import MLP
from engine.families.pieces import (
    activation_assumption,
    activation_entry,
    choice,
    norm_assumptions,
    norm_entry,
    norm_kind,
    norm_title,
    trainable_scalars,
)

Overrides = Mapping[str, Any]
SHOWN_WIDTHS = 16


def likeness(layout: Layout) -> float:
    """Share of the layers that are linear or norms, half without any linear layer."""
    if not layout.parts or not layout.of("linear"):
        return 0.0
    return 1 - len(layout.of("conv")) / len(layout.parts)


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise an MLP in a state dict's layers.

    Raises:
        UnknownArchitectureError: It is none; says why.
    """
    linears, order = linear_chain(layout)
    first, last = linears[0], linears[-1]
    kind = norm_kind(layout.norms)
    front, norms = split_input_norm(linears, layout.norms)
    attached = attach_norms(linears, norms)
    entries, names = linear_entries(linears, attached, overrides, "layers")
    if front is not None:
        names |= front.names("input_norm")
    position, position_said = norm_position(linears, attached, overrides)
    activation = activation_entry(overrides)
    config = {
        "family": "mlp",
        "activation": activation,
        "norm_position": position,
        "input_norm": None if front is None else norm_entry(front, overrides, image=False),
        "layers": entries,
    }
    widths = widths_of(linears)
    assumptions = [activation_assumption(activation, overrides)] if len(linears) > 1 else []
    used = [entry["norm"] for entry in (*entries, {"norm": config["input_norm"]}) if entry["norm"]]
    return Recognition(
        family="mlp",
        title=f"MLP {widths}" + (f", {norm_title(kind)}" if layout.norms else ""),
        evidence=(
            f"{count(linears, 'linear layer')} and no convolution: the weights form the chain "
            f"{widths.replace('-', ' → ')}.",
            order,
            bias_sentence(linears),
            *norm_evidence(linears, attached, front, kind),
            f"All {len(layout.shapes)} tensors are accounted for.",
        ),
        assumptions=(*assumptions, *position_said, *norm_assumptions(used, image=False)),
        config=config,
        input_shape=(first.inputs,),
        classes=last.outputs,
        parameters=trainable_scalars(layout),
        names=names,
    )


def linear_chain(layout: Layout) -> tuple[tuple[Part, ...], str]:
    """Return the linear layers in order, and the sentence on the order."""
    if convs := layout.of("conv"):
        raise UnknownArchitectureError(f"{convs[0].label} is a convolution, an MLP has none.")
    if not layout.of("linear"):
        raise UnknownArchitectureError("There is no linear layer.")
    return order_by_chain(layout.of("linear"))


def widths_of(linears: Sequence[Part]) -> str:
    """Return "784-512-10"; the middle of a very deep network is left out."""
    widths = [str(width) for width in (linears[0].inputs, *(part.outputs for part in linears))]
    if len(widths) > SHOWN_WIDTHS:
        half = SHOWN_WIDTHS // 2
        widths = [*widths[:half], "…", *widths[-half:]]
    return "-".join(widths)


def norm_evidence(
    linears: Sequence[Part], attached: Mapping[str, Part], front: Part | None, kind: str
) -> list[str]:
    """Say where the norms are."""
    hosts = [part.label for part in linears if part.path in attached]
    said = [f"{norm_title(kind)} behind {some_of(hosts, 6)}."] if hosts else []
    if front is not None:
        said.append(f"{front.label} normalises the {front.outputs} inputs.")
    return said


def count(parts: Sequence[Part], what: str) -> str:
    return f"{len(parts)} {what}{'s' * (len(parts) > 1)}"


def linear_entries(
    linears: Sequence[Part], attached: Mapping[str, Part], overrides: Overrides, owner: str
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Describe a stack of linear layers as JSON, with the names of its tensors."""
    entries, names = [], {}
    for i, part in enumerate(linears):
        norm = attached.get(part.path)
        if norm is not None and len(norm.shape) > 1:
            raise UnknownArchitectureError(f"The norm {norm.label} is one of images.")
        entry = None if norm is None else norm_entry(norm, overrides, image=False)
        entries.append({"in": part.inputs, "out": part.outputs, "bias": part.bias, "norm": entry})
        names |= part.names(f"{owner}.linear.{i}")
        names |= {} if norm is None else norm.names(f"{owner}.norm.{i}")
    return entries, names


def split_input_norm(
    linears: Sequence[Part], norms: Sequence[Part]
) -> tuple[Part | None, tuple[Part, ...]]:
    """Take out a norm that stands in front of the first layer and has its inputs' size."""
    first = linears[0]
    for norm in norms:
        before = natural_key(norm.path) < natural_key(first.path)
        numbered = (index_gap(first, norm) or 0) < 0
        certain = numbered or len(norms) >= len(linears) or norm.outputs != first.outputs
        if before and certain and norm.shape == (first.inputs,):
            return norm, tuple(other for other in norms if other is not norm)
    return None, tuple(norms)


def norm_position(
    linears: Sequence[Part], attached: Mapping[str, Part], overrides: Overrides
) -> tuple[str, list[str]]:
    """Tell from the places in a Sequential whether the activation comes before the norm."""
    hidden = [part for part in linears[:-1] if part.path in attached]
    if not hidden:
        return "before", []
    gaps = {index_gap(part, attached[part.path]) for part in hidden}
    seen = None not in gaps
    default = "after" if seen and min(gap for gap in gaps if gap) > 1 else "before"
    position = choice(overrides, "norm_position", ("before", "after"), default)
    if overrides.get("norm_position"):
        return position, [f"Norms come {position} the activation, as given."]
    reason = "by their places in the Sequential" if seen else "the usual order"
    return position, [f"Norms come {position} the activation: {reason} (norm_position=…)."]


def bias_sentence(parts: Sequence[Part]) -> str:
    """Say which layers have a bias."""
    without = [part.label for part in parts if not part.bias]
    if not without:
        return "Every layer has a bias." if len(parts) > 1 else "The layer has a bias."
    if len(without) == len(parts):
        return "No layer has a bias."
    return f"No bias in {some_of(without)}; the other layers have one."


FAMILY = Family(
    name="mlp",
    title="MLP (a stack of linear layers)",
    options=("activation", "norm_position", "norm_eps"),
    likeness=likeness,
    recognise=recognise,
    build=MLP,
)
