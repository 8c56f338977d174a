"""Fort's MLP setting: the pair that stays in three basins even after matching.

Two MNIST MLPs 3×512, SGD with peak rate 1e-3, momentum 0.9, 10 warm-up steps and cosine to
zero, 20 epochs, batch 500, seeds 0 and 1 (Stanislav Fort, dissect-git-re-basin). Run as
`python -m benchmarks.fort_mlp FOLDER`: a pair already in FOLDER is read, else it is trained
there on the complete MNIST, which takes minutes. Then the pair is compared on the complete test
set, with a plane of 21 × 21 points (Fort's has 21 × 20), and his numbers are printed beside ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from engine.figures import plane_figure, png_bytes
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
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
    """Compare the pair on Fort's plane and print his numbers beside ours."""
    parser = argparse.ArgumentParser(description="Fort's three basins, done again.")
    parser.add_argument("folder", type=Path, help="where the pair is kept, or trained")
    parser.add_argument("--picture", type=Path, help="write the plane as PNG here")
    options = parser.parse_args()
    a, b = fort_pair(options.folder)
    wanted = CompareOptions(data="mnist", samples=None, plane_points=21)
    result = compare(a, b, options=wanted)
    print(table(result.summary))
    if options.picture:
        picture = png_bytes(plane_figure(result.arrays, result.summary), width=760)
        options.picture.write_bytes(picture)


def table(summary: Mapping[str, Any]) -> str:
    """Return Fort's numbers and ours as a Markdown table."""
    ends, middle = summary["ends"], summary["midpoints"]
    distance, basins = summary["distance"], summary["basins"]
    rows = [
        ("test loss of A", f"{FORT.ends[0]:.3f}", f"{ends['a']['test']['loss']:.3f}"),
        ("test loss of B", f"{FORT.ends[1]:.3f}", f"{ends['b']['test']['loss']:.3f}"),
        ("midpoint of A and B", f"{FORT.naive:.2f}", f"{middle['naive']['test']['loss']:.2f}"),
        (
            "midpoint of A and π(B)",
            f"{FORT.permuted:.2f}",
            f"{middle['rebasin']['test']['loss']:.2f}",
        ),
        ("cosine of A and B", "0", f"{distance['cosine_a_b']:.3f}"),
        (
            "cosine of A and π(B)",
            f"{FORT.cosine_after:.2f}",
            f"{distance['cosine_a_pi_b']:.3f}",
        ),
        ("basins of A, B, π(B)", "3, apart", _apart(basins["basin_of"])),
        ("lowest pass A to B on the plane", "", f"{basins['passes']['A|B']:.2f}"),
        ("lowest pass A to π(B) on the plane", "", f"{basins['passes']['A|pi_b']:.2f}"),
    ]
    head = ["| complete MNIST test set | Fort | Basinscope |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def _apart(basin_of: Mapping[str, int]) -> str:
    number = len(set(basin_of.values()))
    return f"{number}, {'apart' if number == len(basin_of) else 'some joined'}"


if __name__ == "__main__":
    main()
