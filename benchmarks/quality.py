"""How good merged models are: barriers by matching method and repair, on trained pairs.

Run `python -m benchmarks.quality mlp --folder DIR` (MNIST MLP 3×512, five pairs) or
`python -m benchmarks.quality resnet --folder DIR` (CIFAR-10 ResNet20 with BatchNorm). The folder
holds `mlp1.safetensors` … `mlp10.safetensors`, `r20x1-1.safetensors`, `r20x1-2.safetensors`,
`r20x2-1.safetensors` and so on; what is missing is named with the command that trains it, and
trained with `--train`. Data is read from the mirror that BASINSCOPE_HUB_MIRROR names, or from the
Hub. Methods and repairs see training samples alone; losses are on test samples. Barriers are Git
Re-Basin's, at least half the difference between the ends, and Entezari's, the most by which the
loss lies above the line between the ends. `docs/quality.md` keeps the tables.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from engine import (
    build_program,
    derive_symmetry,
    ensemble,
    load_checkpoint,
    load_dataset,
    recognise,
)
from engine.data import Dataset, fit_data
from engine.landscape import Tally, barrier, line
from engine.matching import METHODS, obstacle, run_method
from engine.program import Program
from engine.repair import repaired_line
from engine.symmetry import Symmetry

NAIVE = "none"
NOTHING = "nothing"
PUBLISHED = {"r20x1": ".993", "r20x2": ".337"}
"""REPAIR (Jordan et al. 2022): test-loss barrier of ResNet20-BN, activation matching + reset."""


@dataclass(frozen=True)
class Pair:
    """Two checkpoints of one recipe, by file name, with what trains each."""

    name: str
    files: tuple[str, str]
    recipe: tuple[str, ...]
    seeds: tuple[int, int]


@dataclass(frozen=True)
class Row:
    """What one method and repair achieve on one pair."""

    pair: str
    method: str
    repair: str
    ends: tuple[float, float]
    barrier: float
    entezari: float
    midpoint: float
    accuracy: float
    seconds: float

    def cells(self) -> str:
        return (
            f"| {self.pair} | {self.method} | {self.repair} | {self.ends[0]:.4f}, "
            f"{self.ends[1]:.4f} | {self.barrier:.4f} | {self.entezari:.4f} | "
            f"{self.midpoint:.4f} | {100 * self.accuracy:.2f} % | {self.seconds:.1f} |"
        )


HEADER = (
    "| pair | matching | repair | loss at the ends | barrier | above the line between the ends | "
    "midpoint loss | accuracy | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def pairs(options: argparse.Namespace) -> Iterator[Pair]:
    """Yield the pairs of a table."""
    if options.table == "mlp":
        for first in range(1, 2 * options.pairs, 2):
            seeds = (first, first + 1)
            files = (f"mlp{first}", f"mlp{first + 1}")
            recipe = ("mnist-mlp", *(("--schedule", options.schedule) if options.schedule else ()))
            yield Pair(f"mlp {first}, {first + 1}", files, recipe, seeds)
        return
    for width, epochs in zip(options.widths, options.epochs, strict=True):
        recipe = ("cifar10-resnet20", "--width", str(width), "--epochs", str(epochs))
        files = (f"r20x{width}-1", f"r20x{width}-2")
        yield Pair(f"r20x{width}", files, recipe, (1, 2))


def provide(pair: Pair, options: argparse.Namespace) -> list[Path] | None:
    """Return a pair's files, trained where asked for; None where one is missing."""
    found = [options.folder / f"{name}.safetensors" for name in pair.files]
    for path, seed in zip(found, pair.seeds, strict=True):
        if path.exists():
            continue
        arguments = ["-m", "engine", "train", *pair.recipe, "--seed", str(seed), "--out", str(path)]
        print(f"{path.name} is missing: {shlex.join(['python', *arguments])}", flush=True)
        if not options.train:
            return None
        subprocess.run([sys.executable, *arguments], check=True)
    return found


class Trial:
    """One pair with its data: what each method finds, and what each repair makes of it."""

    def __init__(self, pair: Pair, files: Sequence[Path], options: argparse.Namespace) -> None:
        self.pair, self.options = pair, options
        a, b = (load_checkpoint(str(path)) for path in files)
        self.program: Program = build_program(recognise(a.tensors)).under_names(a.tensors)
        self.symmetry: Symmetry = derive_symmetry(self.program)
        self.a, self.b = a.tensors, b.tensors
        data = "mnist-full" if options.table == "mlp" else "cifar10"
        self.seen = self._samples(data, "train", options.samples)
        self.test = self._samples(data, "test", options.test_samples)

    def rows(self) -> Iterator[Row]:
        """Yield every row as soon as it is known."""
        for method in self.options.methods:
            start = time.perf_counter()
            permuted = self._permuted(method)
            seconds = time.perf_counter() - start
            if permuted is None:
                continue
            for repair in self.options.repairs:
                keys = () if repair == NOTHING else tuple(repair.split("+"))
                tally = self._line(permuted, keys)
                yield self._row(method, repair, tally, 0.0 if method == NAIVE else seconds)

    def together(self) -> str:
        """Return what the ensemble of both achieves."""
        both = ensemble(self.program, (self.a, self.b), self.test)
        return (
            f"{self.pair.name}: ensemble of both, loss {both.loss:.4f}, "
            f"accuracy {100 * both.accuracy:.2f} %, calibration error {both.calibration_error:.4f}"
        )

    def _samples(self, data: str, split: str, samples: int | None) -> Dataset:
        drawn = load_dataset(data, split, samples=samples, model_inputs=self.program.inputs)
        return fit_data(drawn, self.program.inputs, None)

    def _permuted(self, method: str) -> Mapping[str, Tensor] | None:
        if method == NAIVE:
            return self.b
        if (why := obstacle(method, self.program, self.symmetry, self.seen)) is not None:
            print(f"{self.pair.name}: {why}")
            return None
        names = {option.name for option in METHODS[method].options}
        asked = {"steps": self.options.steps} if "steps" in names else {}
        found = run_method(
            method,
            self.program,
            self.symmetry,
            self.a,
            self.b,
            data=self.seen,
            options=asked,
        )
        return self.symmetry.apply(found.permutation, self.b)

    def _line(self, permuted: Mapping[str, Tensor], repairs: Sequence[str]) -> Tally:
        return repaired_line(
            self.program,
            (self.a, permuted),
            line(self.options.points)[:, 1].tolist(),
            self.test,
            self.seen.tensors,
            repairs=repairs,
            targets=self.seen.targets,
        )

    def _row(self, method: str, repair: str, tally: Tally, seconds: float) -> Row:
        places = line(self.options.points)[:, 1].numpy()
        accuracy = tally.accuracy.numpy()
        found = barrier(places, tally.loss.numpy(), tally.loss_se.numpy(), accuracy)
        middle = float(accuracy[len(places) // 2])
        return Row(
            pair=self.pair.name,
            method=method,
            repair=repair,
            ends=(float(tally.loss[0]), float(tally.loss[-1])),
            barrier=found.git_rebasin,
            entezari=found.entezari,
            midpoint=found.midpoint,
            accuracy=middle,
            seconds=seconds,
        )


def summarise(rows: Sequence[Row]) -> None:
    """Print the mean over pairs of every method and repair."""
    print("\nMeans over pairs:\n")
    print("| matching | repair | barrier | above the line | midpoint loss | accuracy |")
    print("|---|---|---|---|---|---|")
    for method, repair in dict.fromkeys((row.method, row.repair) for row in rows):
        own = [row for row in rows if (row.method, row.repair) == (method, repair)]
        names = ("barrier", "entezari", "midpoint", "accuracy")
        *losses, accuracy = (np.mean([getattr(row, name) for row in own]) for name in names)
        cells = " | ".join(f"{value:.4f}" for value in losses)
        print(f"| {method} | {repair} | {cells} | {100 * accuracy:.2f} % |")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("mlp", "resnet"))
    parser.add_argument("--folder", type=Path, required=True, help="of the checkpoints")
    parser.add_argument("--train", action="store_true", help="train what is missing")
    parser.add_argument("--methods", nargs="+", default=[NAIVE, "weight", "activation"])
    parser.add_argument("--repairs", nargs="+", default=[NOTHING], help="join several with +")
    parser.add_argument("--pairs", type=int, default=5, help="of perceptrons")
    parser.add_argument("--schedule", help="of the rate, where perceptrons are trained")
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 2], help="of ResNets")
    parser.add_argument("--epochs", type=int, nargs="+", default=[4, 2], help="for each width")
    parser.add_argument("--samples", type=int, default=5000, help="of the training split")
    parser.add_argument("--test-samples", type=int, default=None, help="default: all")
    parser.add_argument("--points", type=int, default=25, help="on each line; odd")
    parser.add_argument("--steps", type=int, default=100, help="of methods that take steps")
    return parser.parse_args()


def main() -> None:
    """Print one table."""
    options = read_options()
    rows: list[Row] = []
    print(HEADER)
    for pair in pairs(options):
        if (files := provide(pair, options)) is None:
            continue
        trial = Trial(pair, files, options)
        for row in trial.rows():
            rows.append(row)
            print(row.cells(), flush=True)
        print(trial.together(), flush=True)
        if pair.name in PUBLISHED:
            print(f"{pair.name}: published, activation + reset: {PUBLISHED[pair.name]}")
    if options.table == "mlp" and rows:
        summarise(rows)


if __name__ == "__main__":
    main()
