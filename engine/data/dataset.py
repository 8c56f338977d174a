"""A data set in memory: drawn, normalised, and laid out as a model wants it.

`RawImages` is what every reader returns (bytes or floats as stored, plus labels);
`build_dataset` draws a sample and normalises only that. Nothing here touches a file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.errors import DataError


@dataclass(frozen=True)
class RawImages:
    """What a reader found: `inputs` [N, *shape] uint8 or float32, `targets` [N] int64.

    `sha256` is the hash of the source file; `classes` the number of classes.
    """

    inputs: Tensor
    targets: Tensor
    classes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Samples ready for a model.

    Attributes:
        inputs: [N, *shape] float32, normalised.
        targets: [N] int64, each in 0 … classes − 1.
        name, split: what was asked for.
        classes: number of classes.
        sha256: hash of the source file's hash and the selection (split, samples, seed).
        mean, std: the normalisation that was applied, per channel.
    """

    inputs: Tensor
    targets: Tensor
    name: str
    split: str
    classes: int
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.targets)


def draw(available: int, samples: int, seed: int) -> Tensor:
    """Return `samples` distinct indices below `available`, ascending, drawn with `seed`.

    Raises:
        DataError: fewer than one sample, or more than there are, was asked for.
    """
    if samples < 1:
        raise DataError(f"At least one sample is needed; {samples} were asked for.")
    if samples > available:
        raise DataError(f"{samples} samples were asked for, but there are only {available}.")
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(available, generator=generator)[:samples].sort().values


def normalise(inputs: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return float32 inputs: uint8 divided by 255, then (x − mean) / std per channel.

    Args:
        inputs: [N, *shape], uint8 or floating.
        mean, std: one number for all, or one per channel (axis 1).

    Raises:
        DataError: the lengths do not fit the channels, or a std is not positive.
    """
    channels = inputs.shape[1] if inputs.ndim > 1 else 1
    for what, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise DataError(
                f"The {what} has {len(values)} numbers; give one, or one for each of the "
                f"{channels} channels."
            )
        if not all(math.isfinite(value) for value in values):
            raise DataError(f"The {what} {tuple(values)} must be finite numbers.")
    if min(std) <= 0:
        raise DataError(f"Every std must be positive; {tuple(std)} is not.")
    out = inputs.to(torch.float32, copy=True)
    if inputs.dtype == torch.uint8:
        out /= 255
    if tuple(mean) != (0.0,) * len(mean) or tuple(std) != (1.0,) * len(std):
        axis = (1, -1) + (1,) * (inputs.ndim - 2)
        out -= torch.tensor(mean, dtype=torch.float32, device=out.device).reshape(axis)
        out /= torch.tensor(std, dtype=torch.float32, device=out.device).reshape(axis)
    return out


def build_dataset(
    raw: RawImages,
    *,
    name: str,
    split: str,
    samples: int | None,
    seed: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> Dataset:
    """Draw `samples` of `raw` and normalise them; None, or as many as there are, takes all.

    Raises:
        DataError: the sample or the normalisation does not fit the data.
    """
    inputs, targets = raw.inputs, raw.targets
    selection = "all"
    if samples is not None and (samples < 1 or samples < len(raw.targets)):
        chosen = draw(len(targets), samples, seed)
        inputs, targets = inputs[chosen], targets[chosen]
        selection = f"{samples} of {len(raw.targets)} with seed {seed}"
    digest = hashlib.sha256(f"{raw.sha256}|{split}|{selection}".encode()).hexdigest()
    return Dataset(
        inputs=normalise(inputs, mean, std),
        targets=targets.clone(),
        name=name,
        split=split,
        classes=raw.classes,
        sha256=digest,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
    )


def fit_inputs(dataset: Dataset, input_shape: tuple[int, ...]) -> Dataset:
    """Return the data set with each input laid out as `input_shape`.

    Done only where the meaning is plain: an image is flattened for a model of vectors, a
    vector becomes the image of its size, axes of length one come and go, and images stored
    as [height, width, channels] become [channels, height, width].

    Args:
        dataset: inputs [N, *shape].
        input_shape: the model's input without the batch, e.g. (784,) or (3, 32, 32).

    Raises:
        DataError: the two shapes do not hold the same numbers in a plain way.
    """
    shape, wanted = tuple(dataset.inputs.shape[1:]), tuple(input_shape)
    if shape == wanted:
        return dataset
    if math.prod(shape) == math.prod(wanted):
        if 1 in (len(shape), len(wanted)) or _without_ones(shape) == _without_ones(wanted):
            return replace(dataset, inputs=dataset.inputs.reshape(-1, *wanted))
        if len(shape) == 3 and (shape[2], *shape[:2]) == wanted:
            return replace(dataset, inputs=dataset.inputs.permute(0, 3, 1, 2).contiguous())
    raise DataError(
        f"The model takes inputs of shape {_text(wanted)}, but {dataset.name} has inputs of "
        f"shape {_text(shape)}; choose data of the model's shape."
    )


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape) or "a single number"
