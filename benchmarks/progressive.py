"""How much sooner a progressive plane is there than the plain loop's full plane, and how far off.

Work: (a) the built-in MNIST MLPs 3×512, 10 000 test images; (b) two CIFAR-10 ResNet20×1 with
BatchNorm in eval mode, 2000 test images. The plane has 33×33 points around A, B and π(B). One
process with one thread: after every round of the progressive plane, one point of the plain loop
(`benchmarks.landscape.plain_loop`, at the batch size that was fastest before) is timed, so that a
busy machine slows both; the processor's seconds count, those of estimating included. The plain
loop's full plane is its median point times 1089. The true error is against the exact plane, which
is computed once and kept in a folder; `--reference N` computes N drawn points of it only.

    python -m benchmarks.progressive a --folder DIR
    python -m benchmarks.progressive b --folder DIR --pair r0.safetensors r1.safetensors

(b) takes a pair of `python -m engine train cifar10-resnet20 --norm batch --seed S --out FILE`. Data
is read from the mirror that BASINSCOPE_HUB_MIRROR names, or from the Hub. `docs/landscape.md` keeps
the table.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.landscape import plain_loop
from engine.checkpoints import load_checkpoint
from engine.landscape import Span, evaluate
from engine.landscape.plans import exact
from engine.studies.alignment import align
from engine.studies.evaluation import Evaluation, InTurn, Work
from engine.studies.options import CompareOptions
from engine.studies.plane import SPLIT, PlaneStudy
from engine.studies.plane_rounds import PlaneRounds
from engine.studies.plane_sketch import Sketch
from engine.studies.stages import Approach, Stages
from engine.studies.subject import Subject, load_split, prepare
from engine.studies.tiles import MemoryTiles
from engine.symmetry import derive_symmetry
from engine.training.recipes import Shape, find_recipe

SIDE = 33
BATCH_SIZES = (100, 125, 250, 500, 1000)
DEMO = tuple(f"assets/demo/mnist-mlp-seed{seed}.safetensors" for seed in (0, 1))


@dataclass(frozen=True)
class Case:
    """One kind of work, ready to be evaluated."""

    title: str
    module: nn.Module
    models: tuple[dict[str, Tensor], ...]
    study: PlaneStudy
    evaluation: Evaluation
    options: CompareOptions


def prepare_case(key: str, files: tuple[str, ...], accuracy: float) -> Case:
    """Return the plane of a pair, matched, with what evaluates it."""
    data = ("mnist-full", None) if key == "a" else ("cifar10", 2000)
    options = CompareOptions(
        data=data[0],
        samples=data[1],
        reset=False,
        plane_points=SIDE,
        plane_mode="progressive",
        plane_accuracy=accuracy,
    )
    subject = prepare(*(load_checkpoint(file) for file in files), None, {})
    split = load_split(options, SPLIT, subject.program, None)
    symmetry = derive_symmetry(subject.program)
    found = align(subject, symmetry, options, MemoryTiles(), lambda *_: None, lambda: False)
    pi_b = symmetry.apply(found.permutation, subject.b.tensors)
    states = (subject.a.tensors, subject.b.tensors, pi_b)
    models = tuple({n: model[n] for n in subject.program.parameters} for model in states)
    study = PlaneStudy.lay_out(subject.program, Span(("A", "B", "π(B)"), models), options)
    work = Work(subject.program, None, {SPLIT: split}, None, "cpu")
    evaluation = Evaluation(work, MemoryTiles(), InTurn(), lambda: False)
    title = f"({key}) {len(split)} images"
    return Case(title, module_of(key, subject), models, study, evaluation, options)


def module_of(key: str, subject: Subject) -> nn.Module:
    """Return the module that the plain loop runs, with A's weights."""
    recipe = find_recipe("mnist-mlp" if key == "a" else "cifar10-resnet20")
    inputs = (784,) if key == "a" else (3, 32, 32)
    module = recipe.build(Shape(inputs, 10, recipe.width, recipe.norms[0], recipe.shortcuts[0]))
    module.load_state_dict(dict(subject.a.tensors), strict=False)
    return module.eval()


def plain_seconds(case: Case, batch: int, row: Tensor) -> float:
    """Return the processor's seconds of one point of the plain loop."""
    start = time.process_time()
    plain_loop(case.module, list(case.models), row, case.evaluation.work.data[SPLIT], batch)  # type: ignore[arg-type]
    return time.process_time() - start


def best_batch(case: Case) -> int:
    """Return the batch size at which the plain loop is fastest, by two points each."""
    row = torch.tensor([0.4, 0.3, 0.3], dtype=torch.float64)
    seconds = {
        size: min(plain_seconds(case, size, row) for _ in range(2))
        for size in BATCH_SIZES
        if size <= len(case.evaluation.work.data[SPLIT])
    }
    return min(seconds, key=seconds.__getitem__)


def reference(case: Case, path: Path, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (index, loss) of exact points of the plane, drawn; computed where not kept yet."""
    kept: Mapping[str, np.ndarray] = {"index": np.empty(0, np.int64), "loss": np.empty(0)}
    if path.exists():
        with np.load(path) as file:
            kept = {name: file[name] for name in ("index", "loss")}
    index, loss = kept["index"], kept["loss"]
    drawn = np.random.default_rng(0).permutation(SIDE**2)[:wanted]
    missing, plan, work = np.setdiff1d(drawn, index), exact(), case.evaluation.work
    for part in np.array_split(missing, max(1, len(missing) // 20)) if len(missing) else ():
        rows = case.study.plane.coefficients[part]
        tally = evaluate(work.program, case.study.plane.span, rows, work.data[SPLIT], plan=plan)
        index = np.concatenate([index, part])
        loss = np.concatenate([loss, tally.loss.numpy()])
        np.savez(path, index=index, loss=loss)
    return index, loss


def report(sketch: Sketch, index: np.ndarray, loss: np.ndarray) -> str:
    """Return a round in one line: points, estimated and true error."""
    said = sketch.summary()
    drawn = sketch.found.values["loss"][index]
    both = np.isfinite(drawn) & np.isfinite(loss)
    off = np.abs(drawn[both] / loss[both] - 1)
    wrong = int((np.isfinite(drawn) != np.isfinite(loss)).sum())
    sampled = int(sketch.known.has_sample.sum())
    return (
        f"{sketch.rounds:>5}{said['points_full']:>8}{sampled:>8}"
        f"{said['error_median']:>10.2%}{said['error_p95']:>9.2%}"
        f"{np.median(off):>10.2%}{np.quantile(off, 0.95):>9.2%}{wrong:>7}"
    )


def measure(case: Case, index: np.ndarray, loss: np.ndarray) -> None:
    """Print every round, and how much sooner the last one was there."""
    batch = best_batch(case)
    rows = case.study.plane.coefficients
    print(f"\n{case.title}; plain loop with batches of {batch}; exact points: {len(index)}")
    print("round   full  sample  est. med     p95  true med     p95  wrong  seconds   sooner")
    rounds, spent, plain = None, 0.0, []
    sketch = None
    while sketch is None or sketch.reason is None:
        start = time.process_time()
        if rounds is None:
            approach = Approach(Stages(None), 0.0)
            rounds = PlaneRounds(case.study.plane, case.evaluation, case.options, SPLIT, approach)
        sketch = rounds.advance()
        spent += time.process_time() - start
        plain.append(plain_seconds(case, batch, rows[len(rows) // 2]))
        sooner = SIDE**2 * statistics.median(plain) / spent
        print(f"{report(sketch, index, loss)}{spent:>9.1f}{sooner:>8.1f}×", flush=True)
    point = statistics.median(plain)
    print(
        f"plain loop: {1000 * point:.0f} ms a point, {SIDE**2 * point:.0f} s for {SIDE**2} points"
    )
    print(sketch.summary()["stop_sentence"])


def main() -> None:
    """Measure the chosen work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("key", choices=["a", "b"])
    parser.add_argument("--folder", type=Path, required=True, help="keeps the exact planes")
    parser.add_argument("--pair", nargs=2, metavar="FILE", help="two checkpoints, for (b)")
    parser.add_argument("--reference", type=int, default=SIDE**2, help="exact points, drawn")
    parser.add_argument("--accuracy", type=float, default=0.01)
    options = parser.parse_args()
    if options.key == "b" and options.pair is None:
        parser.error("(b) needs --pair; train two with `engine train cifar10-resnet20`")
    torch.set_num_threads(1)
    case = prepare_case(options.key, tuple(options.pair or DEMO), options.accuracy)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"progressive-{options.key}.npz"
    measure(case, *reference(case, path, options.reference))


if __name__ == "__main__":
    main()
