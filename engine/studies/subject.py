"""What a comparison is about: two checkpoints that fit, their Program, and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints import Checkpoint, about, check_finite, check_fit
from engine.data import Dataset, fit_data, load_dataset
from engine.errors import MismatchError
from engine.families import (
    Recognition,
    architecture_source,
    check_same_config,
    checkpoint_program,
    recognise_checkpoint,
)
from engine.program import Program
from engine.studies.graphs import check_same_graph
from engine.studies.options import CompareOptions


@dataclass(frozen=True)
class Subject:
    """Two models of one architecture.

    Args:
        a: the reference.
        b: the model that is permuted.
        program: the architecture, with the checkpoints' own parameter names.
        recognition: how the architecture was found; None where the caller gave a Program.
    """

    a: Checkpoint
    b: Checkpoint
    program: Program
    recognition: Recognition | None


def prepare(
    a: Checkpoint, b: Checkpoint, program: Program | None, overrides: Mapping[str, Any]
) -> Subject:
    """Return the pair with its Program: the one given, else that of a graph, else a family's.

    Raises:
        MismatchError: the two do not have the same tensors, not those of the Program, or graphs
            that compute different functions.
        NonFiniteError: a checkpoint holds NaN or infinite weights.
        UnknownArchitectureError: no family recognises the pair and no Program was given.
    """
    check_fit(a, b)
    check_finite(a)
    check_finite(b)
    recognition = None
    if program is None:
        source = architecture_source(a, b)
        check_same_config(a, b)
        with about(source):
            recognition = recognise_checkpoint(source, **overrides)
            program = checkpoint_program(source, recognition)
        if source.graph is None:
            for checkpoint in (a, b):
                _check_ties(checkpoint, program)
            return Subject(a, b, program, recognition)
        check_same_graph(a, b)
    program = program.under_names(a.tensors)
    for checkpoint in (a, b):
        _check_ties(checkpoint, program)
        missing = [name for name in program.parameters if name not in checkpoint.tensors]
        if missing:
            raise MismatchError(
                f"{checkpoint.name} lacks {len(missing)} tensors of the given model, "
                f"the first is {missing[0]}; save the checkpoint from the same module."
            )
        program.check(checkpoint.tensors)
    return Subject(a, b, program, recognition)


def _check_ties(checkpoint: Checkpoint, program: Program) -> None:
    """Raise MismatchError where names of one tied parameter hold different values."""
    held = checkpoint.tensors
    for alias, name in program.aliases.items():
        if alias in held and name in held and not torch.equal(held[alias], held[name]):
            raise MismatchError(
                f"{checkpoint.name} holds different values as {name} and {alias}, which are one "
                "parameter in the given model; untie them in the module."
            )


def load_split(
    options: CompareOptions, split: str, program: Program, data: Mapping[str, Dataset] | None
) -> Dataset:
    """Return the samples of one split, laid out as the Program takes them.

    Args:
        data: data sets of the caller's own by split ("train", "test"), instead of a name.

    Raises:
        DataError: the data cannot be loaded or does not fit the model.
    """
    name = options.train_split if split == "train" else options.test_split
    if data is not None:
        dataset = data[split]
    else:
        dataset = load_dataset(
            options.data,
            name,
            samples=options.samples,
            seed=options.data_seed,
            mean=options.mean,
            std=options.std,
            model_inputs=program.inputs,
        )
    return fit_data(dataset, program.inputs, output_shape(program))


def output_classes(program: Program) -> int | None:
    """Return the number of logits, None where the last dimension is not fixed."""
    shape = output_shape(program)
    return shape[-1] if shape else None


def output_shape(program: Program) -> tuple[int, ...] | None:
    """Return what the model returns for one sample, None where a dimension is not fixed."""
    output = next(node for node in program.graph_module.graph.nodes if node.op == "output")
    value = output.args[0].meta.get("val")
    if not isinstance(value, Tensor) or value.dim() == 0:
        return None
    sizes = tuple(value.shape[1:])
    return sizes if all(isinstance(size, int) for size in sizes) else None
