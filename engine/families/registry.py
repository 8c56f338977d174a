"""The families that are known, asked in order; the boundary that names what was seen.

A new family is one new file and one line in FAMILIES.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoints import stated_options
from engine.errors import SpecError, UnknownArchitectureError
from engine.families import mlp, resnet, vgg
from engine.families.family import Family, Recognition
from engine.families.huggingface import family as huggingface
from engine.families.huggingface.settings import FIELDS
from engine.families.layout import Layout, read_layout, show_shape, some_of
from engine.families.published import convnext, densenet, mobile, vit
from engine.families.published import resnet as published_resnet
from engine.families.published import vgg as published_vgg
from engine.families.unknown import EMPTY, unknown_message
from engine.families.weightless import weightless
from engine.program import Program, capture

FAMILIES: tuple[Family, ...] = (
    mlp.FAMILY,
    resnet.FAMILY,
    vgg.FAMILY,
    published_resnet.FAMILY,
    published_vgg.FAMILY,
    densenet.FAMILY,
    mobile.FAMILY,
    convnext.FAMILY,
    vit.FAMILY,
    huggingface.FAMILY,
)
KEPT_PROGRAMS = 8
EXAMPLE_BATCH = 2


def recognise(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None, **overrides: Any
) -> Recognition:
    """Recognise an architecture from the names and shapes of a state dict, or by its config.

    Args:
        tensors: Name -> tensor; the values and the order do not matter.
        config: What the config.json beside them says, or the file of itself, if anything.
        overrides: What names and shapes cannot show, e.g. activation="gelu"; each family lists
            its own in `Family.options`. None means not given.

    Returns:
        The architecture, with evidence and assumptions. Every tensor is accounted for.

    Raises:
        UnknownArchitectureError: No family fits; says what was seen, why the nearest family
            does not fit, and how to bring the model.
        SpecError: An override is unknown or its value not possible.
    """
    given = stated_options(config)
    given |= {name: value for name, value in overrides.items() if value is not None}
    _check_options(given, FAMILIES)
    if not tensors:
        raise UnknownArchitectureError(EMPTY)
    layout = read_layout(tensors)
    if config is not None and config.get("model_type") in FIELDS:
        _check_options(given, (huggingface.FAMILY,))
        return huggingface.recognise_config(layout.shapes, config, given, _equal(tensors))
    refusals: list[tuple[float, str, str]] = []
    for family in FAMILIES:
        try:
            recognition = family.recognise(layout, given)
            _check_all_used(layout, recognition)
        except UnknownArchitectureError as refusal:
            alike = family.likeness(layout)
            named = alike > 1  # names tell: what this family says weighs more
            reason = str(refusal) if named else _unexplained(layout) or str(refusal)
            refusals.append((alike, family.title, reason))
            continue
        _check_options(given, (family,))
        return recognition
    _, nearest, reason = max(refusals, key=lambda refusal: refusal[0])
    raise UnknownArchitectureError(unknown_message(tensors, nearest, reason))


def module_from(config: Mapping[str, Any]) -> nn.Module:
    """Build a fresh module, in eval mode, from a Recognition's config (or its JSON).

    Raises:
        SpecError: The config names no known family.
    """
    for family in FAMILIES:
        if family.name == config.get("family"):
            return family.build(config).eval()
    known = ", ".join(family.name for family in FAMILIES)
    raise SpecError(f"config family={config.get('family')!r} is unknown: choose one of {known}.")


def build_program(recognition: Recognition) -> Program:
    """Return the Program of a recognised architecture, with the checkpoint's own names.

    Programs are kept (the last few, by config and names): tracing one costs seconds.
    """
    return _program(
        json.dumps(recognition.config, sort_keys=True),
        json.dumps(dict(recognition.names), sort_keys=True),
        recognition.input_shape,
        recognition.input_dtype,
    )


@lru_cache(maxsize=KEPT_PROGRAMS)
def _program(config: str, names: str, input_shape: tuple[int, ...], dtype: str) -> Program:
    example = torch.zeros(EXAMPLE_BATCH, *input_shape, dtype=getattr(torch, dtype))
    program = capture(weightless(lambda: module_from(json.loads(config))), example, hollow=True)
    known = program.parameters  # of tied names one, of tensors that no output reads none
    return program.renamed({own: n for own, n in json.loads(names).items() if own in known})


def _equal(tensors: Mapping[str, Tensor]) -> Callable[[str, str], bool]:
    """Return whether two tensors hold the same values; unknown values count as the same."""
    return lambda one, other: tensors[one].is_meta or torch.equal(tensors[one], tensors[other])


def _check_options(given: Mapping[str, Any], families: tuple[Family, ...]) -> None:
    options = sorted({option for family in families for option in family.options})
    for name in given:
        if name not in options:
            of = f" of {families[0].title}" if len(families) == 1 else ""
            raise SpecError(f"{name} is no option{of}: choose among {', '.join(options)}.")


def _check_all_used(layout: Layout, recognition: Recognition) -> None:
    """A tensor that no layer of the recognised network uses makes the recognition wrong."""
    used = set(recognition.names.values())
    left = [
        f"{name} {show_shape(layout.shapes[name])}" for name in layout.shapes if name not in used
    ]
    if left and recognition.family != huggingface.FAMILY.name:  # which names what it leaves
        raise UnknownArchitectureError(f"These tensors would be left over: {some_of(left)}.")


def _unexplained(layout: Layout) -> str:
    """Say which tensors belong to no layer of any family; empty where there are none."""
    items = layout.unexplained
    return f"{some_of(items)}." if items else ""
