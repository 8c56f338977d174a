"""Data laid out as a model takes it: its inputs in order, their kinds and shapes, its targets.

Done only where the meaning is plain; anything else is refused with both shapes and the way out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from engine.data.dataset import Dataset, RawData
from engine.data.task import LANGUAGE, REGRESSION, infer_task
from engine.errors import DataError

UNKNOWN_VOCABULARY = 2
"""A model's input says no more than this where its largest valid token cannot be seen."""


class ModelInput(Protocol):
    """One input of a model, as `engine.program.InputSpec` describes it."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def high(self) -> int: ...


def arrange(raw: RawData, wanted: Sequence[ModelInput], name: str) -> RawData:
    """Return stored data with its inputs in the model's order; bytes for token ids stay whole.

    Raises:
        DataError: there are more or fewer inputs, or other names, than the model has.
    """
    tensors = tuple(
        tensor.long()
        if tensor.dtype == torch.uint8 and not spec.dtype.is_floating_point
        else tensor
        for tensor, spec in zip(_ordered(raw, wanted, name), wanted, strict=True)
    )
    inputs = tensors if isinstance(raw.inputs, tuple) else tensors[0]
    return replace(raw, inputs=inputs, input_names=_names(raw, wanted))


def fit_data(
    dataset: Dataset, wanted: Sequence[ModelInput], outputs: tuple[int, ...] | None
) -> Dataset:
    """Return the data set as a model takes it, or say in one sentence why it does not fit.

    Args:
        dataset: samples as loaded.
        wanted: the model's inputs.
        outputs: what the model returns for one sample, without the batch; None if not known.

    Raises:
        DataError: kinds, shapes, vocabulary or classes do not fit the model.
    """
    tensors = tuple(
        _fit_input(tensor, spec, dataset.name)
        for tensor, spec in zip(_ordered(dataset, wanted, dataset.name), wanted, strict=True)
    )
    inputs = tensors if isinstance(dataset.inputs, tuple) else tensors[0]
    fitted = replace(dataset, inputs=inputs, input_names=_names(dataset, wanted))
    return fitted if outputs is None else _fit_targets(fitted, outputs)


def fit_inputs(dataset: Dataset, input_shape: tuple[int, ...]) -> Dataset:
    """Return the data set with its one input laid out as `input_shape` (see `reshaped`).

    Raises:
        DataError: the two shapes do not hold the same numbers in a plain way.
    """
    (inputs,) = dataset.tensors
    return replace(dataset, inputs=reshaped(inputs, tuple(input_shape), dataset.name))


def reshaped(inputs: Tensor, wanted: tuple[int, ...], name: str) -> Tensor:
    """Return inputs [N, *shape] as [N, *wanted], where the meaning is plain.

    An image is flattened for a model of vectors, a vector becomes the image of its size, axes
    of length one come and go, and images stored as [height, width, channels] become [channels,
    height, width].

    Raises:
        DataError: the two shapes do not hold the same numbers in a plain way.
    """
    shape = tuple(inputs.shape[1:])
    if shape == wanted:
        return inputs
    if math.prod(shape) == math.prod(wanted):
        if 1 in (len(shape), len(wanted)) or _without_ones(shape) == _without_ones(wanted):
            return inputs.reshape(-1, *wanted)
        if len(shape) == 3 and (shape[2], *shape[:2]) == wanted:
            return inputs.permute(0, 3, 1, 2).contiguous()
    raise DataError(
        f"The model takes inputs of shape {_text(wanted)}, but {name} has inputs of "
        f"shape {_text(shape)}; choose data of the model's shape."
    )


def _fit_input(tensor: Tensor, spec: ModelInput, name: str) -> Tensor:
    """Return one input in the model's kind and shape."""
    if spec.dtype.is_floating_point:
        if not tensor.is_floating_point():
            raise DataError(
                f"The model's input {spec.name} takes floating-point numbers of shape "
                f"{_text(spec.shape)}, but {name} has whole numbers; store images as uint8 and "
                "everything else as float32."
            )
        return reshaped(tensor, tuple(spec.shape), name)
    if tensor.is_floating_point():
        raise DataError(
            f"The model's input {spec.name} takes token ids, but {name} has floating-point "
            "numbers or images; store whole numbers such as int64."
        )
    shape = tuple(tensor.shape[1:])
    if shape != tuple(spec.shape):
        raise DataError(
            f"The model takes sequences of {_text(tuple(spec.shape))} tokens as {spec.name}, but "
            f"those of {name} have {_text(shape)}; cut or pad them to the model's length."
        )
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= spec.high > UNKNOWN_VOCABULARY:
        raise DataError(
            f"The tokens of {name} run from {low} to {high}, but the model knows {spec.high}, "
            f"0 to {spec.high - 1}; use the tokeniser that the model was trained with."
        )
    return tensor.to(spec.dtype)


def _fit_targets(dataset: Dataset, outputs: tuple[int, ...]) -> Dataset:
    """Return the data set with targets as the model's outputs ask for them."""
    targets, name = dataset.targets, dataset.name
    given = tuple(targets.shape[1:])
    task, shape = infer_task(targets.is_floating_point(), given, outputs, name)
    if task is REGRESSION:
        if len(outputs) == 1 and outputs[0] > 1 and _one_hot(targets):
            raise DataError(
                f"The targets of {name} are one-hot rows [N, {outputs[0]}]; store the class "
                "numbers instead, [N] whole numbers."
            )
    elif dataset.classes > outputs[-1]:
        noun = "tokens" if task is LANGUAGE else "classes"
        raise DataError(
            f"{name} has {dataset.classes} {noun}, but the model has {outputs[-1]} outputs; "
            "choose the data that the model was trained on."
        )
    return replace(dataset, targets=targets.reshape(len(targets), *shape))


def _one_hot(targets: Tensor) -> bool:
    rows = targets.reshape(len(targets), -1)
    return bool(((rows == 0) | (rows == 1)).all()) and bool((rows.sum(1) == 1).all())


def _ordered(data: RawData | Dataset, wanted: Sequence[ModelInput], name: str) -> list[Tensor]:
    """Return the inputs in the model's order: by name where they have names, else as given."""
    tensors = data.tensors
    names = data.input_names or tuple(map(str, range(len(tensors))))
    by_place = all(key.isdecimal() for key in names)
    model = [spec.name for spec in wanted]
    if len(tensors) == len(model) and (by_place or set(names) == set(model)):
        if by_place:
            return list(tensors)
        return [tensors[names.index(key)] for key in model]
    held = _counted(len(tensors), () if by_place else names)
    keys = ["inputs"] if len(model) == 1 else [f"inputs.{key}" for key in model]
    raise DataError(
        f"The model takes {_counted(len(model), model)}, but {name} has {held}; store "
        f"{' and '.join(f'`{key}`' for key in keys)}."
    )


def _counted(number: int, names: Sequence[str]) -> str:
    listed = f" ({', '.join(names)})" if names else ""
    return f"{number} input{'' if number == 1 else 's'}{listed}"


def _names(data: RawData | Dataset, wanted: Sequence[ModelInput]) -> tuple[str, ...]:
    return tuple(spec.name for spec in wanted) if isinstance(data.inputs, tuple) else ()


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape) or "a single number"
