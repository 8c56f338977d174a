"""A data set in memory: drawn, normalised, ready to be laid out as a model wants it (`fit.py`).

`RawData` is what every reader returns (bytes, floats or token ids as stored, plus targets);
`build_dataset` draws a sample and normalises only that. Nothing here touches a file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.task import CLASSIFICATION, IGNORED, LANGUAGE, REGRESSION, Task, task_of
from engine.errors import DataError

Inputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class RawData:
    """What a reader found, as stored.

    Attributes:
        inputs: [N, …] uint8 (images), float32, or int64 (token ids); a tuple where the model
            takes several.
        targets: [N] int64 classes, [N, T] int64 tokens, or [N, …] float32 values.
        classes: number of classes, or of tokens that targets may be; 0 for a regression.
        sha256: hash of the source file.
        input_names: what the inputs of a tuple are called; digits are places, not names.
    """

    inputs: Inputs
    targets: Tensor
    classes: int
    sha256: str
    input_names: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs, always as a tuple."""
        return self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)


@dataclass(frozen=True)
class Dataset:
    """Samples ready for a model.

    Attributes:
        inputs: [N, *shape] float32, normalised, or int64 token ids; a tuple where the model
            takes several.
        targets: [N] int64 classes, each in 0 … classes − 1; [N, T] int64 tokens, −100 where a
            position does not count; or [N, …] float32 values.
        name, split: what was asked for.
        classes: number of classes, or of tokens that targets may be; 0 for a regression.
        sha256: hash of the source file's hash and the selection (split, samples, seed).
        mean, std: the normalisation that was applied, per channel.
        input_names: what the inputs of a tuple are called; digits are places, not names.
    """

    inputs: Inputs
    targets: Tensor
    name: str
    split: str
    classes: int
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs, always as a tuple."""
        return self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)

    @property
    def task(self) -> Task:
        """What the targets ask a model to do."""
        return task_of(self.targets.is_floating_point(), self.targets.ndim)

    @staticmethod
    def from_tensors(
        inputs: Inputs, targets: Tensor, *, name: str = "own data", split: str = "test"
    ) -> Dataset:
        """Return samples of one's own, taken as they are.

        Args:
            inputs: [N, …] floating-point numbers or token ids; a tuple of several.
            targets: [N] whole numbers (classes), [N, T] whole numbers (tokens; −100 for a
                position that does not count), or floating-point numbers (a regression).
            name, split: how a result calls them.

        Raises:
            DataError: there are no samples, or not one target for each.
        """
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        counts = [len(tensor) for tensor in (*tensors, targets)]
        if len(set(counts)) != 1 or 0 in counts:
            raise DataError(
                f"{name} needs samples and one target for each; inputs and targets hold "
                f"{', '.join(map(str, counts))}."
            )
        digest = hashlib.sha256(split.encode())
        for tensor in (*tensors, targets):
            digest.update(f"{tensor.dtype}{list(tensor.shape)}".encode())
            content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
            digest.update(content.numpy().tobytes())
        widened = targets if targets.is_floating_point() else targets.long()
        classes = count_classes(widened, name)
        return Dataset(inputs, widened, name, split, classes, digest.hexdigest(), (0.0,), (1.0,))


def count_classes(targets: Tensor, name: str) -> int:
    """Return one more than the largest class or token, 0 for a regression.

    Raises:
        DataError: the targets hold NaN, negative numbers, or nothing that counts.
    """
    task = task_of(targets.is_floating_point(), targets.ndim)
    if task is REGRESSION:
        bad = ~targets.isfinite().reshape(len(targets), -1).all(1)
        if bad.any():
            raise DataError(
                f"{name} has targets that are NaN or infinite in {int(bad.sum())} samples, the "
                f"first is sample {int(bad.nonzero()[0])}; leave those out."
            )
        return 0
    counted = targets[targets != IGNORED] if task is LANGUAGE else targets
    if counted.numel() == 0:
        raise DataError(f"{name} has {IGNORED} as every target, so that nothing is predicted.")
    if int(counted.min()) < 0:
        also = f" ({IGNORED} leaves a position out)" if task is not CLASSIFICATION else ""
        raise DataError(
            f"{name} has the target {int(counted.min())}; {_NOUNS[task.key]} count from 0{also}."
        )
    return int(counted.max()) + 1


_NOUNS = {CLASSIFICATION.key: "classes", LANGUAGE.key: "tokens"}


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
        inputs: [N, *shape], uint8 or floating; token ids (int64) are returned as they are.
        mean, std: one number for all, or one per channel (axis 1).

    Raises:
        DataError: the lengths do not fit the channels, or a std is not positive.
    """
    channels = inputs.shape[1] if inputs.ndim > 1 else 1
    if not inputs.is_floating_point() and inputs.dtype != torch.uint8:
        return inputs
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
    raw: RawData,
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
    inputs, targets = raw.tensors, raw.targets
    selection = "all"
    if samples is not None and (samples < 1 or samples < len(raw.targets)):
        chosen = draw(len(targets), samples, seed)
        inputs, targets = tuple(tensor[chosen] for tensor in inputs), targets[chosen]
        selection = f"{samples} of {len(raw.targets)} with seed {seed}"
    digest = hashlib.sha256(f"{raw.sha256}|{split}|{selection}".encode()).hexdigest()
    normalised = tuple(normalise(tensor, mean, std) for tensor in inputs)
    return Dataset(
        inputs=normalised if isinstance(raw.inputs, tuple) else normalised[0],
        targets=targets.clone(),
        name=name,
        split=split,
        classes=raw.classes,
        sha256=digest,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        input_names=raw.input_names,
    )
