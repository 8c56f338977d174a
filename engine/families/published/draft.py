"""From a reader's draft of a published architecture to a Recognition, with every shape checked.

The module of the draft is built without memory for its weights, and each of its tensors must
be in the checkpoint under the name that the draft says, with that very shape. So a reader may
be short: whatever it took for granted is compared here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.errors import UnknownArchitectureError
from engine.families.family import Config, Recognition
from engine.families.layout import Layout, show_shape
from engine.families.pieces import positive, trainable_scalars
from engine.families.published.fitting import check_widths
from engine.families.published.tree import Tree

COUNTER = "num_batches_tracked"
IMAGE_SIZE = 224  # what nearly all published ImageNet models are trained on
LARGEST_IMAGE = 2048


@dataclass(frozen=True)
class Draft:
    """What a reader found.

    Attributes:
        title: One line for the user.
        evidence: Sentences: what in the names and shapes shows it.
        assumptions: Sentences: what names and shapes cannot show.
        config: JSON values; with `family` filled in, all that `build` needs.
        paths: The module's own layer path (or tensor name) -> the checkpoint's, stripped.
        input_shape: Shape of one sample.
        classes: Number of outputs.
    """

    title: str
    evidence: tuple[str, ...]
    assumptions: tuple[str, ...]
    config: Config
    paths: Mapping[str, str]
    input_shape: tuple[int, ...]
    classes: int


def finished(
    draft: Draft, layout: Layout, tree: Tree, build: Callable[[Mapping[str, Any]], nn.Module]
) -> Recognition:
    """Check every tensor of the draft's module against the checkpoint.

    Raises:
        UnknownArchitectureError: A tensor is missing, of another shape, or of whole numbers, or
            a layer takes other channels than reach it.
    """
    with torch.device("meta"):
        module = build(draft.config)
    names = {}
    for own, tensor in module.state_dict().items():
        if own.endswith(COUNTER):
            continue
        stripped = _stripped(own, draft.paths)
        found, label = tree.shape(stripped), tree.labels[stripped]
        if stripped in tree.integers:
            raise UnknownArchitectureError(f"{label} holds no floating-point numbers.")
        if found != tuple(tensor.shape):
            raise UnknownArchitectureError(
                f"{label} is {show_shape(found)}; read as {draft.title}, it would be "
                f"{show_shape(tensor.shape)}."
            )
        names[own] = label
    check_widths(module, draft.input_shape, names)
    return Recognition(
        family=draft.config["family"],
        title=draft.title,
        evidence=(*draft.evidence, f"All {len(layout.shapes)} tensors are accounted for."),
        assumptions=draft.assumptions,
        config=draft.config,
        input_shape=draft.input_shape,
        classes=draft.classes,
        parameters=trainable_scalars(layout),
        names=names,
    )


def _stripped(own: str, paths: Mapping[str, str]) -> str:
    """Return the checkpoint's name of one of the module's tensors.

    Raises:
        UnknownArchitectureError: The reader found no layer for it: blocks are not alike.
    """
    if own in paths:
        return paths[own]
    owner, _, leaf = own.rpartition(".")
    if owner not in paths:
        raise UnknownArchitectureError(f"There is nothing that would be its {own}.")
    return f"{paths[owner]}.{leaf}"


def image_side(overrides: Mapping[str, Any], default: int = IMAGE_SIZE) -> int:
    """Return the images' side: `image_size`, or the default.

    Raises:
        SpecError: It is no number.
        UnknownArchitectureError: It is larger than any image that is handled.
    """
    side = int(positive(overrides, "image_size", default))
    if not 1 <= side <= LARGEST_IMAGE:
        raise UnknownArchitectureError(
            f"image_size={side} is not possible: images have from 1 to {LARGEST_IMAGE} pixels."
        )
    return side


def image_sentence(side: int, overrides: Mapping[str, Any]) -> str:
    """Say which image size is taken; it changes no parameter of a convolutional network."""
    given = overrides.get("image_size") is not None
    return f"Images are {side}×{side}" + (", as given." if given else " (image_size=…).")


def eps_of(overrides: Mapping[str, Any], default: float) -> float:
    """Return the norms' epsilon: `norm_eps`, or the default."""
    return float(positive(overrides, "norm_eps", default))


def eps_sentence(eps: float, overrides: Mapping[str, Any], of: str) -> str:
    """Say which epsilon the norms use, and why."""
    if overrides.get("norm_eps") is not None:
        return f"The norms use eps {eps:g}, as given."
    return f"The norms use eps {eps:g}, {of}'s (norm_eps=…)."


def whole(overrides: Mapping[str, Any], option: str, default: int) -> int:
    """Return a positive whole number from the overrides.

    Raises:
        SpecError: It is none.
    """
    return int(positive(overrides, option, default))


def at_width(width: int, base: int) -> str:
    """Return " ×0.5" for half of the published width, and nothing for the published one."""
    return "" if width == base else f" ×{width / base:g}"
