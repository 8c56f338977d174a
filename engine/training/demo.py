"""Train the built-in pair: `python -m engine.training.demo`, which `make demo` calls.

Two `mnist-mlp` of seeds 0 and 1 on the complete MNIST training data, written to
`assets/demo` as float32 safetensors. One thread, so that the number of cores does not
change the bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from engine.checkpoints import write_checkpoint
from engine.errors import BasinscopeError
from engine.training.records import TrainProgress, TrainResult
from engine.training.train import train

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo"
RECIPE = "mnist-mlp"
SEEDS = (0, 1)
LICENCE = "MIT; trained on MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0"


def build_pair(
    folder: Path = FOLDER,
    *,
    seeds: Sequence[int] = SEEDS,
    data: str | Path | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    width: int | None = None,
    progress: Callable[[int, TrainProgress], None] | None = None,
) -> tuple[TrainResult, ...]:
    """Train one model per seed and write `mnist-mlp-seed<seed>.safetensors` into `folder`.

    Args:
        folder: created where it is absent.
        seeds: one model each.
        data, epochs, batch_size, width: other than the recipe's.
        progress: called with the seed after every step.

    Raises:
        TrainingError: as `train`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in seeds:

        def report(state: TrainProgress, seed: int = seed) -> None:
            if progress is not None:
                progress(seed, state)

        result = train(
            RECIPE,
            seed=seed,
            data=data,
            epochs=epochs,
            batch_size=batch_size,
            width=width,
            progress=report,
        )
        last = result.history[-1]
        metadata = result.options.metadata() | {
            "test_loss": f"{last.test_loss:.4f}",
            "test_accuracy": f"{last.test_accuracy:.4f}",
            "licence": LICENCE,
        }
        write_checkpoint(result.tensors, folder / f"{RECIPE}-seed{seed}.safetensors", metadata)
        results.append(result)
    return tuple(results)


def main() -> int:
    """Train the pair with a progress bar on stderr; return the exit code."""
    torch.set_num_threads(1)
    with tqdm(file=sys.stderr, unit="step") as bar:

        def show(seed: int, state: TrainProgress) -> None:
            bar.total = state.steps
            bar.n = state.step
            if state.finished is not None:
                bar.set_description(
                    f"seed {seed}, epoch {state.epoch}: test loss {state.finished.test_loss:.4f}, "
                    f"accuracy {state.finished.test_accuracy:.2%}"
                )
            bar.update(0)

        try:
            build_pair(progress=show)
        except BasinscopeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
