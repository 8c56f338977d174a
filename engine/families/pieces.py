"""The small modules and config entries that all families are built from.

A config entry is a JSON object. A norm's entry is None, or `{"kind": "batch" | "layer",
"over": "channels" | "image" | "all", "shape": [...], "weight": bool, "bias": bool, "eps": float}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import SpecError, UnknownArchitectureError
from engine.families.layout import Layout, Part

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels at each position of an image [N, C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def activation_entry(overrides: Mapping[str, Any]) -> str:
    """Return the activation asked for, ReLU by default.

    Raises:
        SpecError: It is none of ACTIVATIONS.
    """
    return choice(overrides, "activation", tuple(ACTIVATIONS), "relu")


def choice(overrides: Mapping[str, Any], option: str, allowed: Sequence[str], default: str) -> str:
    """Return an override's value, which must be one of the allowed words.

    Raises:
        SpecError: It is not.
    """
    value = overrides.get(option) or default
    if value not in allowed:
        raise SpecError(f"{option}={value!r} is not possible: choose one of {', '.join(allowed)}.")
    return value


def positive(overrides: Mapping[str, Any], option: str, default: float | None) -> Any:
    """Return an override's value, which must be a positive number.

    Raises:
        SpecError: It is not.
    """
    value = overrides.get(option, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and value > 0):
        raise SpecError(f"{option}={value!r} is not possible: give a positive number.")
    return value


def norm_entry(part: Part, overrides: Mapping[str, Any], image: bool) -> dict[str, Any]:
    """Describe a norm layer as JSON; `image` where its input is [N, C, H, W]."""
    over = "all" if len(part.shape) > 1 else "channels"
    if image and part.kind == "layer_norm" and over == "channels":
        over = choice(overrides, "layer_norm", ("channels", "image"), "channels")
    return {
        "kind": "batch" if part.kind == "batch_norm" else "layer",
        "over": over,
        "shape": list(part.shape),
        "weight": "weight" in part.leaves,
        "bias": part.bias,
        "eps": float(positive(overrides, "norm_eps", 1e-5)),
    }


def make_norm(entry: Mapping[str, Any] | None, image: bool) -> nn.Module:
    """Build the norm of a config entry; Identity for None."""
    if entry is None:
        return nn.Identity()
    shape, eps = list(entry["shape"]), entry["eps"]
    if entry["kind"] == "batch":
        kind = nn.BatchNorm2d if image else nn.BatchNorm1d
        return kind(shape[0], eps=eps, affine=entry["weight"], bias=entry["bias"])
    if entry["over"] == "image":
        return nn.GroupNorm(1, shape[0], eps=eps, bias=entry["bias"])
    layer = ChannelNorm if image and entry["over"] == "channels" else nn.LayerNorm
    return layer(shape, eps=eps, bias=entry["bias"])


def pool_to(x: Tensor, size: int) -> Tensor:
    """Average an image down (or repeat it up, as torchvision's VGG does) to size×size."""
    height = x.shape[-1]
    if height == size:
        return x
    if height % size == 0:
        return F.avg_pool2d(x, height // size)
    return F.adaptive_avg_pool2d(x, size)


def zero_pad_channels(x: Tensor, before: int, after: int) -> Tensor:
    """Put zero channels around x [N, C, H, W]: the parameter-free shortcut of option A."""
    return F.pad(x, (0, 0, 0, 0, before, after)) if before or after else x


def norm_kind(norms: Sequence[Part]) -> str:
    """Return the one kind of norm that a network has: none, batch or layer.

    Raises:
        UnknownArchitectureError: Kinds are mixed, or only some of the norms have a bias.
    """
    kinds = {part.kind for part in norms}
    if len(kinds) > 1:
        odd = min(norms, key=lambda part: sum(part.kind == other.kind for other in norms))
        raise UnknownArchitectureError(
            f"{odd.label} is a {odd.kind.replace('_', ' ')}, the other norms are not."
        )
    biased = [part for part in norms if part.bias]
    if biased and len(biased) < len(norms):
        odd = next(part for part in norms if not part.bias)
        raise UnknownArchitectureError(f"The norm {odd.label} has no bias, others have one.")
    return {"batch_norm": "batch", "layer_norm": "layer"}[kinds.pop()] if kinds else "none"


def norm_title(kind: str) -> str:
    return {"none": "no norm", "batch": "BatchNorm", "layer": "LayerNorm"}[kind]


def trainable_scalars(layout: Layout) -> int:
    """Count the scalars of all tensors but running statistics."""
    sizes = (
        torch.Size(shape).numel()
        for name, shape in layout.shapes.items()
        if not name.endswith(("running_mean", "running_var"))
    )
    return sum(sizes)


def activation_assumption(activation: str, overrides: Mapping[str, Any]) -> str:
    """Say that the activation cannot be seen, or that it was given."""
    if overrides.get("activation"):
        return f"The activation is {activation}, as given."
    return (
        "The activation is ReLU: a state dict does not hold it "
        f"(activation={'|'.join(ACTIVATIONS)})."
    )


def norm_assumptions(entries: Sequence[Mapping[str, Any]], image: bool) -> list[str]:
    """Say what the shapes of the norms cannot show."""
    if not entries:
        return []
    first = entries[0]
    said = [f"The norms use eps {first['eps']:g} (norm_eps=…)."]
    if first["kind"] == "layer" and image and first["over"] == "channels":
        said.append(
            "LayerNorm runs over the channels at each position; with one scale per channel it "
            "could also run over the whole image (layer_norm=image)."
        )
    elif first["over"] == "image":
        said.append("LayerNorm runs over the channels and the whole image, as given.")
    return said
