"""Rebuild `assets/mnist` from the complete MNIST: `python -m engine.data.build_builtin`.

The complete data comes from the Hub or from `BASINSCOPE_HUB_MIRROR`. The test file holds
all test images in the original order; the training file holds a plain draw without
replacement (not stratified) of 10 000 of the 60 000, `torch.randperm` with seed 0, in
ascending order, together with the `indices` that were drawn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.data.builtin import FOLDER
from engine.data.dataset import draw
from engine.data.load import read_named

TRAIN_SAMPLES = 10_000
TRAIN_SEED = 0


def build(folder: Path = FOLDER, *, samples: int = TRAIN_SAMPLES, name: str = "mnist-full") -> None:
    """Write `train.npz` and `test.npz` into `folder`.

    Raises:
        DataError: the complete data set cannot be read, or has fewer training images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    test = read_named(name, "test")
    np.savez_compressed(
        folder / "test.npz",
        inputs=test.tensors[0][:, 0].numpy(),
        targets=test.targets.numpy().astype(np.uint8),
    )
    train = read_named(name, "train")
    indices = draw(len(train.targets), samples, TRAIN_SEED)
    np.savez_compressed(
        folder / "train.npz",
        inputs=train.tensors[0][indices, 0].numpy(),
        targets=train.targets[indices].numpy().astype(np.uint8),
        indices=indices.numpy().astype(np.int32),
    )


if __name__ == "__main__":
    build()
