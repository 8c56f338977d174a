"""One training from a recipe and a seed, exactly repeatable on the CPU.

Weights, order and augmentation each have a generator of their own, derived from the seed;
the global random state is neither read nor changed. The same options give the same bits on
the same machine with the same number of threads (sums are split over threads, so another
number of threads may round differently). On CUDA the result agrees only to rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.data.text import BYTES
from engine.errors import TrainingError
from engine.training.initialise import build_fresh
from engine.training.loop import Loop
from engine.training.options import TrainOptions, resolve_options
from engine.training.recipes import Shape, find_recipe
from engine.training.records import TrainProgress, TrainResult
from engine.training.split import Split, read_splits


def train(
    recipe: str,
    *,
    seed: int,
    width: int | None = None,
    optimiser: str | None = None,
    rate: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    data: str | Path | None = None,
    norm: str | None = None,
    shortcut: str | None = None,
    depth: int | None = None,
    schedule: str | None = None,
    device: str = "cpu",
    progress: Callable[[TrainProgress], None] | None = None,
    checkpoints: Callable[[int, Mapping[str, Tensor]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Train a recipe's model; every option left out takes the recipe's default.

    Args:
        recipe: a name of `RECIPES`.
        seed: of weights, order and augmentation, 0 or more.
        width: hidden units (MLP), of a transformer's stream, or width multiplier (ResNet, VGG).
        optimiser: "adam", "sgd" (momentum 0.9) or "adamw".
        rate: learning rate, with a warm-up its peak.
        epochs: passes over the training data.
        batch_size: samples per step; those beyond the last full batch sit an epoch out.
        data: a data set's name or a .npz/.safetensors file, instead of the recipe's data.
        schedule: of the rate: "constant" (the default of Adam), "cosine", a warm-up and a cosine
            to 0 (of the others), or "cooldown", constant and over the last fifth straight to 0.
        norm, shortcut, depth: variants of the model, see the recipe.
        device: "cpu" or a CUDA device.
        progress: called after every step; the last one of an epoch carries its record.
        checkpoints: called after every epoch with its number, from 1, and a copy of the weights.
        should_stop: asked before every step.

    Raises:
        TrainingError: an option makes no sense, the data is not there, or the loss is no
            longer finite.
        CancelledError: `should_stop` said so.
    """
    options = resolve_options(
        recipe,
        seed=seed,
        width=width,
        optimiser=optimiser,
        rate=rate,
        epochs=epochs,
        batch_size=batch_size,
        data=data,
        norm=norm,
        shortcut=shortcut,
        depth=depth,
        schedule=schedule,
    )
    known = find_recipe(recipe)
    where = _device(device)
    training, test = read_splits(options, known, where)
    shape = shape_of(options, training)
    module = build_fresh(lambda: known.build(shape), seeded(seed, "weights")).to(where)
    loop = Loop(
        options=options,
        recipe=known,
        shape=shape,
        module=module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if known.takes == "images"
        else module,
        training=training,
        test=test,
        order=seeded(seed, "order"),
        augmentation=seeded(seed, "augmentation"),
        progress=progress,
        should_stop=should_stop,
    )
    return loop.run(checkpoints)


def shape_of(options: TrainOptions, training: Split) -> Shape:
    """Return what the model is built from; a text's model knows every byte."""
    raw = training.raw
    classes = max(raw.classes, BYTES if Path(options.data).suffix == ".txt" else 0)
    if find_recipe(options.recipe).takes == "tokens":
        classes = max(classes, int(training.inputs.max()) + 1)
    return Shape(
        tuple(training.inputs.shape[1:]),
        classes,
        options.width,
        options.norm,
        options.shortcut,
        options.depth,
    )


def seeded(seed: int, purpose: str) -> torch.Generator:
    """Return a generator for one purpose of one training, independent of the others."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"There is no device '{name}'; say cpu, cuda or cuda:0.") from error
    if device.type not in ("cpu", "cuda"):
        raise TrainingError(f"Training runs on cpu or cuda, not on '{name}'.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError("There is no CUDA device on this machine; train on the cpu.")
    return device
