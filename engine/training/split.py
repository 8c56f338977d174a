"""A split of the training data on the device, handed out in batches, images normalised."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.data.dataset import RawData, normalise
from engine.data.load import default_normalisation, read_raw
from engine.errors import DataError, TrainingError
from engine.training.options import TrainOptions
from engine.training.recipes import Recipe


@dataclass(frozen=True)
class Split:
    """Images (uint8 or float32) or tokens as stored, targets, and the recipe's normalisation."""

    raw: RawData
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.raw.targets)

    @property
    def inputs(self) -> Tensor:
        """The inputs as stored, [N, …]."""
        return self.raw.tensors[0]

    def batch(
        self, chosen: Tensor | slice, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (inputs, targets) of the chosen samples, augmented with a generator."""
        images, targets = self.inputs[chosen], self.raw.targets[chosen]
        if self.recipe.takes == "tokens":
            return images, targets
        if generator is not None and self.recipe.augment is not None:
            images = self.recipe.augment(normalise(images, (0.0,), (1.0,)), generator)
        images = normalise(images, self.mean, self.std)
        if self.recipe.takes == "vectors":
            return images.flatten(1), targets
        return images.contiguous(memory_format=torch.channels_last), targets


def read_splits(options: TrainOptions, recipe: Recipe, device: torch.device) -> tuple[Split, Split]:
    """Return the training and the test split on the device.

    Raises:
        TrainingError: the data is not there or does not suit the recipe.
    """
    try:
        found = tuple(read_raw(options.data, split) for split in ("train", "test"))
    except DataError as error:
        raise TrainingError(
            f"{recipe.title} cannot be trained on the data '{options.data}'. {error}"
        ) from error
    training, test = found
    if len(training.targets) < options.batch_size:
        raise TrainingError(
            f"The batch size {options.batch_size} is larger than the training data "
            f"({len(training.targets)} samples)."
        )
    _check_kind(training, options, recipe)
    mean, std = default_normalisation(options.data)
    moved = (
        replace(raw, inputs=raw.tensors[0].to(device), targets=raw.targets.to(device))
        for raw in found
    )
    training, test = (Split(raw, mean, std, recipe) for raw in moved)
    return training, test


def _check_kind(raw: RawData, options: TrainOptions, recipe: Recipe) -> None:
    """Raise TrainingError where the data is of another kind than the recipe's model takes."""
    inputs, targets = raw.tensors[0], raw.targets
    shape = list(inputs.shape[1:])
    if recipe.takes == "images" and inputs.ndim != 4:
        raise TrainingError(
            f"{recipe.title} needs images [channels, height, width], but the samples of "
            f"{options.data} have shape {shape}."
        )
    if recipe.takes != "tokens":
        if inputs.dtype == torch.int64 or targets.is_floating_point() or targets.ndim != 1:
            raise TrainingError(
                f"{recipe.title} learns one class per sample; {options.data} holds tokens or "
                "floating-point targets."
            )
    elif inputs.is_floating_point() or inputs.ndim != 2 or targets.shape != inputs.shape:
        raise TrainingError(
            f"{recipe.title} needs sequences of tokens and a token to predict at each place, but "
            f"{options.data} has inputs of shape {shape} and targets {list(targets.shape[1:])}."
        )
