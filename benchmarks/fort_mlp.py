"""Fort's MLP setting: the pair that stays in three basins even after matching.

Two MNIST MLPs 3×512, SGD with peak rate 1e-3, momentum 0.9, 10 warm-up steps and cosine to
zero, 20 epochs, batch 500, seeds 0 and 1 (Stanislav Fort, dissect-git-re-basin). Run as
`python -m benchmarks.fort_mlp FOLDER`: a pair already in FOLDER is read, else it is trained
there, which takes minutes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from engine.training import train

SETTING = {"optimiser": "sgd", "rate": 1e-3, "epochs": 20, "batch_size": 500}


@dataclass(frozen=True)
class Numbers:
    """Fort's figures: test losses at the ends and midpoints, cosine of A and π(B)."""

    ends: tuple[float, float]
    naive: float
    permuted: float
    cosine_after: float


FORT = Numbers(ends=(0.334, 0.333), naive=1.70, permuted=1.29, cosine_after=0.11)


def fort_pair(folder: Path) -> tuple[Checkpoint, Checkpoint]:
    """Return the pair of seeds 0 and 1, from `folder` or trained and written there."""
    folder.mkdir(parents=True, exist_ok=True)
    a, b = (_checkpoint(folder / f"{name}.safetensors", seed) for seed, name in enumerate("ab"))
    return a, b


def _checkpoint(path: Path, seed: int) -> Checkpoint:
    if not path.exists():
        result = train("mnist-mlp", seed=seed, **SETTING)
        last = result.history[-1]
        figures = {
            "test_loss": f"{last.test_loss:.4f}",
            "test_accuracy": f"{last.test_accuracy:.4f}",
        }
        write_checkpoint(result.tensors, path, result.options.metadata() | figures)
    return read_checkpoint(path)


def main() -> None:
    """Make sure that the pair is there and say where."""
    parser = argparse.ArgumentParser(description="Train or read Fort's MLP pair.")
    parser.add_argument("folder", type=Path, help="where the pair is kept")
    torch.set_num_threads(1)
    for checkpoint in fort_pair(parser.parse_args().folder):
        print(f"{checkpoint.name}: {checkpoint.sha256}")


if __name__ == "__main__":
    main()
