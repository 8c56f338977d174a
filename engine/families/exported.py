"""Checkpoints that bring their own architecture (`.pt2`), beside those that are recognised.

The one place that decides where a checkpoint's Program comes from: its graph where it carries
one, else the config.json that came with it, else the family that its names and shapes show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from engine.checkpoints import Checkpoint, about, stated_options
from engine.errors import MismatchError, SpecError, UnknownArchitectureError
from engine.families.family import Recognition
from engine.families.huggingface.settings import FIELDS, settings_of
from engine.families.registry import build_program, recognise
from engine.program import Program, program_of

EXPORTED = "exported"
"""The `family` of what a graph says: no option changes it, and no config builds it."""


def recognise_checkpoint(checkpoint: Checkpoint, **overrides: Any) -> Recognition:
    """Say what architecture a checkpoint is of: by its own graph, or by names and shapes.

    Args:
        checkpoint: the weights, perhaps with their graph.
        overrides: as for `recognise`; a graph takes none.

    Raises:
        UnknownArchitectureError: no family fits, and there is no graph.
        SpecError: an override is unknown, or given for a graph.
        BasinscopeError: the graph cannot be used, with the reason.
    """
    if checkpoint.graph is not None:
        _refuse_options(checkpoint, overrides)
        return _describe(checkpoint, program_of(checkpoint))
    if checkpoint.format == "pt2":
        raise UnknownArchitectureError(
            "the architecture of a .pt2 is its graph, which is looked at once the whole file is "
            "read"
        )
    return recognise(checkpoint.tensors, config=checkpoint.config, **overrides)


def architecture_source(a: Checkpoint, b: Checkpoint) -> Checkpoint:
    """Return which of two checkpoints says what both are: the first with a graph, or a config."""
    for carries in (lambda c: c.graph is not None, lambda c: c.config is not None):
        for checkpoint in (a, b):
            if carries(checkpoint):
                return checkpoint
    return a


def check_same_config(a: Checkpoint, b: Checkpoint) -> None:
    """Check that two configs describe one computation: shapes do not show heads or activations.

    Raises:
        MismatchError: they do not; names the first setting that differs.
        UnknownArchitectureError: one of them has a value that is not possible.
    """
    settings = []
    for checkpoint in (a, b):
        config = checkpoint.config
        if config is None:
            return
        kind = config.get("model_type")
        with about(checkpoint):
            told = settings_of(config) if kind in FIELDS else stated_options(config)
        settings.append({"model_type": kind, **told})
    ours, theirs = settings
    for name in sorted(ours | theirs):
        if ours.get(name) != theirs.get(name):
            raise MismatchError(
                f"The config of {a.name} says {name}={ours.get(name)!r}, that of {b.name} "
                f"{theirs.get(name)!r}; models that compute differently cannot be compared."
            )


def checkpoint_program(checkpoint: Checkpoint, recognition: Recognition) -> Program:
    """Return the Program of a checkpoint that `recognise_checkpoint` has described."""
    return program_of(checkpoint) if checkpoint.graph is not None else build_program(recognition)


def _refuse_options(checkpoint: Checkpoint, overrides: Mapping[str, Any]) -> None:
    given = [name for name, value in overrides.items() if value is not None]
    if given:
        raise SpecError(
            f"{given[0]} is no option of {checkpoint.name}: a .pt2 says all of its architecture "
            "itself."
        )


def _describe(checkpoint: Checkpoint, program: Program) -> Recognition:
    trained = [spec.shape for spec in program.parameters.values() if spec.trainable]
    parameters = sum(math.prod(shape) for shape in trained)
    shapes = " and ".join(str(list(spec.shape)) for spec in program.inputs)
    steps = sum(node.op == "call_function" for node in program.graph_module.graph.nodes)
    return Recognition(
        family=EXPORTED,
        title=f"your model (.pt2), inputs {shapes}",
        evidence=(f"{checkpoint.name} carries its own graph: {steps} operations.",),
        assumptions=(),
        config={},
        input_shape=program.inputs[0].shape,
        classes=_classes(program),
        parameters=parameters,
        names={name: name for name in program.parameters},
    )


def _classes(program: Program) -> int:
    """Return the size of the last dimension of the outputs."""
    output = next(node for node in program.graph_module.graph.nodes if node.op == "output")
    value = output.args[0].meta.get("val")
    size = value.shape[-1] if isinstance(value, Tensor) else 0
    return size if isinstance(size, int) else 0
