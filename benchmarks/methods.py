"""Every matching method on trained pairs: barrier, midpoint, objective, seconds.

Run `python -m benchmarks.methods [A B …]`: each further pair of checkpoints is a pair to be
matched; without any it is the built-in pair of MNIST MLPs 3×512. The complete MNIST is read from
the mirror that BASINSCOPE_HUB_MIRROR names, or from the Hub; `--data mnist` takes the 6000 + 2000
images that come with the app. Train samples are what methods see; barriers are on test samples,
Git Re-Basin's definition on 25 points.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from engine import (
    Checkpoint,
    Span,
    build_program,
    derive_symmetry,
    evaluate,
    load_checkpoint,
    load_dataset,
    match_activations,
    match_cosines,
    match_frank_wolfe,
    match_sinkhorn,
    match_steepest,
    match_weights,
    recognise,
    straight_through,
)
from engine.data import Dataset, fit_data
from engine.landscape import ResetData, barrier
from engine.matching import MatchResult
from engine.program import Program
from engine.symmetry import Permutation, Symmetry

DEMO = Path(__file__).parent.parent / "assets" / "demo"
BUILT_IN = tuple(DEMO / f"mnist-mlp-seed{seed}.safetensors" for seed in (0, 1))
POINTS = 25


Find = Callable[[], MatchResult]


def methods(
    program: Program, symmetry: Symmetry, a: Checkpoint, b: Checkpoint, seen: Dataset, steps: int
) -> Iterator[tuple[str, Find]]:
    """Yield the name of each method, and how it is run on a pair."""
    pair = (program, symmetry, a.tensors, b.tensors)
    yield "weight", lambda: match_weights(*pair)
    for statistic in ("inner_product", "correlation"):
        yield (
            f"activation, {statistic}",
            lambda statistic=statistic: match_activations(*pair, seen.tensors, statistic=statistic),
        )
    yield "activation, half weights", lambda: match_activations(*pair, seen.tensors, mixture=0.5)
    yield (
        f"ste, {steps} steps",
        lambda: straight_through(*pair, seen.tensors, seen.targets, steps=steps),
    )
    yield "sinkhorn, weights", lambda: match_sinkhorn(*pair)
    yield (
        "sinkhorn, midpoint",
        lambda: match_sinkhorn(*pair, seen.tensors, seen.targets, learnt="midpoint"),
    )
    yield "frank-wolfe", lambda: match_frank_wolfe(*pair)
    yield "cosine", lambda: match_cosines(*pair)
    yield "steepest", lambda: match_steepest(*pair, seen.tensors, seen.targets)


class Line:
    """The line from a to permutations of b on test samples."""

    def __init__(
        self, program: Program, a: Checkpoint, b: Checkpoint, seen: Dataset, test: Dataset
    ) -> None:
        self._program, self._a, self._b = program, a.tensors, b.tensors
        self._test = test
        self._reset = ResetData(seen.tensors) if program.batch_norms else None

    def measured(self, symmetry: Symmetry, permutation: Permutation) -> str:
        """Return barrier, midpoint loss and midpoint accuracy as cells of a table."""
        span = Span(("a", "pi_b"), (self._a, symmetry.apply(permutation, self._b)))
        places = torch.linspace(0, 1, POINTS, dtype=torch.float64)
        coefficients = torch.stack((1 - places, places), dim=1)
        tally = evaluate(self._program, span, coefficients, self._test, reset=self._reset)
        loss, accuracy = tally.loss.numpy(), tally.accuracy.numpy()
        found = barrier(places.numpy(), loss, tally.loss_se.numpy(), accuracy)
        middle = accuracy[POINTS // 2]
        return f"{found.git_rebasin:.4f} | {found.midpoint:.4f} | {100 * middle:.2f} %"


def measure(a: Checkpoint, b: Checkpoint, options: argparse.Namespace) -> None:
    """Print the table of one pair."""
    program = build_program(recognise(a.tensors)).under_names(a.tensors)
    symmetry = derive_symmetry(program)
    seen, test = (
        fit_data(
            load_dataset(options.data, split, samples=samples, model_inputs=program.inputs),
            program.inputs,
            None,
        )
        for split, samples in (("train", options.samples), ("test", options.test_samples))
    )
    line = Line(program, a, b, seen, test)
    print(f"\n{a.name} and {b.name}: methods see {len(seen.targets)} samples of {seen.name}")
    print("\n| method | seconds | barrier | midpoint loss | accuracy | ⟨A, π(B)⟩ |")
    print("|---|---|---|---|---|---|")
    print(f"| none | | {line.measured(symmetry, symmetry.identity())} | |")
    for name, find in methods(program, symmetry, a, b, seen, options.steps):
        result = find()
        cells = line.measured(symmetry, result.permutation)
        print(f"| {name} | {result.seconds:.2f} | {cells} | {result.objective:.1f} |", flush=True)


def main() -> None:
    """Print a table for every pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", default=BUILT_IN, help="A B, A B, …")
    parser.add_argument("--data", default="mnist-full")
    parser.add_argument("--samples", type=int, default=10_000, help="of the training split")
    parser.add_argument("--test-samples", type=int, default=None)
    parser.add_argument("--steps", type=int, default=100, help="of the straight-through estimator")
    options = parser.parse_args()
    if len(options.checkpoints) % 2:
        parser.error("checkpoints come in pairs")
    models = [load_checkpoint(str(path)) for path in options.checkpoints]
    for a, b in zip(models[::2], models[1::2], strict=True):
        measure(a, b, options)


if __name__ == "__main__":
    main()
