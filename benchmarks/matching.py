"""Weight matching: our seconds, objective and memory beside others', same weights, same process.

Run `python -m benchmarks.matching [--large] [--repeats N]`. All sides match the same two
random models in float32, in turn, N times; medians are printed. Beside ours stands plain
coordinate descent as a notebook would have it: the same groups, every cost computed anew at
every visit, SciPy's solver as it is; and snimu/rebasin. Tracing the model is timed
apart: we keep a traced architecture, rebasin traces each time. On a busy machine
`--processor-seconds --threads 1` counts the processor's seconds instead of the wall's.
Memory is the most that the process held beyond what it held before, in sizes of one model
(Linux alone). The
objective of both results is computed by our own code: ⟨a, π(b)⟩ over every tensor that a
permutation moves, without running statistics. Without rebasin installed
(requirements-bench.txt) it is left out.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from benchmarks.networks import CASES, Case, state, traced
from engine.matching import Problem, match_weights
from engine.symmetry import Occurrence, Symmetry

try:
    from rebasin import PermutationCoordinateDescent
except ImportError:
    PermutationCoordinateDescent = None


Clock = Callable[[], float]


@dataclass
class Row:
    """What was measured of one side: seconds of tracing, of matching, and the objective."""

    tracing: list[float] = field(default_factory=list)
    matching: list[float] = field(default_factory=list)
    objective: float = float("nan")
    memory: float = float("nan")
    note: str = ""

    def add(self, tracing: float, matching: float, objective: float) -> None:
        self.tracing.append(tracing)
        self.matching.append(matching)
        self.objective = objective

    def line(self, side: str, identity: float) -> str:
        seconds, tracing = statistics.median(self.matching), statistics.median(self.tracing)
        return (
            f"  {side:8} {seconds:8.3f} s matching (of {min(self.matching):.3f} to "
            f"{max(self.matching):.3f}), {tracing:6.2f} s tracing, objective "
            f"{self.objective:10.2f} = {self.objective / identity:7.4f} × identity's, "
            f"{self.memory:.1f} models of memory {self.note}"
        )


def run_ours(case: Case, a: nn.Module, b: nn.Module, row: Row, clock: Clock) -> None:
    began = clock()
    program, symmetry = traced(case, a)
    held = memory(reset=True)
    middle = clock()
    result = match_weights(program, symmetry, state(a), state(b))
    row.add(middle - began, clock() - middle, result.objective)
    row.memory = (memory() - held) / sum(t.nbytes for t in state(a).values())
    row.note = f"({result.sweeps} sweeps)"


def run_plain(case: Case, a: nn.Module, b: nn.Module, row: Row, clock: Clock) -> None:
    program, symmetry = traced(case, a)
    problem = Problem(symmetry, state(a), state(b), exclude=program.statistics_names)
    held = memory(reset=True)
    began = clock()
    perms, sweeps = plain_descent(symmetry, state(a), state(b), program.statistics_names)
    row.add(0.0, clock() - began, problem.objective(perms))
    row.memory = (memory() - held) / sum(t.nbytes for t in state(a).values())
    row.note = f"({sweeps} sweeps)"


def plain_descent(
    symmetry: Symmetry, a: dict[str, Tensor], b: dict[str, Tensor], exclude: Collection[str]
) -> tuple[dict[str, Tensor], int]:
    """Return what plain coordinate descent finds, and its sweeps; groups that are not nested."""
    perms = {group.name: torch.arange(group.size) for group in symmetry.groups}
    places = [(g.name, o) for g in symmetry.groups for o in g.occurrences]
    generator = torch.Generator().manual_seed(0)
    for sweep in range(1, 101):
        gained = False
        for number in torch.randperm(len(symmetry.groups), generator=generator).tolist():
            group = symmetry.groups[number]
            cost = torch.zeros(group.size, group.size)
            for o in group.occurrences:
                if o.parameter in exclude:
                    continue
                shown = b[o.parameter]
                for name, other in places:
                    if other.parameter == o.parameter and other.axis != o.axis:
                        shown = permuted(shown, other, perms[name])
                cost += rows(a[o.parameter], o) @ rows(shown, o).T
            units = torch.arange(group.size)
            found = torch.from_numpy(linear_sum_assignment(cost.numpy(), maximize=True)[1])
            if cost[units, found].sum() > cost[units, perms[group.name]].sum() * (1 + 1e-6):
                perms[group.name], gained = found, True
        if not gained:
            return perms, sweep
    return perms, 100


def permuted(tensor: Tensor, place: Occurrence, p: Tensor) -> Tensor:
    parts = tensor.unflatten(place.axis, (place.outer, place.size, place.inner))
    return parts.index_select(place.axis + 1, p).flatten(place.axis, place.axis + 2)


def rows(tensor: Tensor, place: Occurrence) -> Tensor:
    parts = tensor.unflatten(place.axis, (place.outer, place.size, place.inner))
    return parts.movedim(place.axis + 1, 0).reshape(place.size, -1)


def memory(reset: bool = False) -> float:
    """Return the most bytes that the process has held since the last reset; NaN if not Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    line = next(x for x in status.read_text(encoding="ascii").splitlines() if "VmHWM" in x)
    return 1024 * float(line.split()[1])


def run_rebasin(
    case: Case, a: nn.Module, b: nn.Module, row: Row, problem: Callable[..., Problem], clock: Clock
) -> None:
    assert PermutationCoordinateDescent is not None
    permuted = copy.deepcopy(b)
    began = clock()
    descent = PermutationCoordinateDescent(a, permuted, torch.zeros(1, *case.shape))
    middle = clock()
    descent.calculate_permutations()
    seconds = clock() - middle
    descent.apply_permutations()
    row.add(middle - began, seconds, identity_objective(problem(state(a), state(permuted))))


def identity_objective(problem: Problem) -> float:
    return problem.objective(problem.identity())


def measure(case: Case, repeats: int, with_plain: bool, with_rebasin: bool, clock: Clock) -> None:
    a, b = case.model(0), case.model(1)
    program, symmetry = traced(case, a)
    numel = sum(tensor.numel() for tensor in a.parameters())

    def problem(x: dict[str, Tensor], y: dict[str, Tensor]) -> Problem:
        return Problem(symmetry, x, y, exclude=program.statistics_names)

    identity = identity_objective(problem(state(a), state(b)))
    ours, plain, theirs = Row(), Row(), Row()
    match_weights(program, symmetry, state(a), state(b), max_sweeps=1)  # warm up
    for _ in range(repeats):
        run_ours(case, a, b, ours, clock)
        if with_plain:
            run_plain(case, a, b, plain, clock)
        if with_rebasin:
            run_rebasin(case, a, b, theirs, problem, clock)
    print(f"{case.name}: {numel:,} parameters, {len(symmetry.groups)} groups, median of {repeats}")
    print(ours.line("ours", identity))
    for side, row in (("plain", plain), ("rebasin", theirs)):
        if row.matching:
            print(row.line(side, identity))
            ratio = statistics.median(row.matching) / statistics.median(ours.matching)
            print(
                f"  ours is {ratio:.1f} × faster than {side}; objective "
                f"{ours.objective / row.objective:.4f} × {side}'s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="ResNet50 and ResNet20×32 too")
    parser.add_argument("--only", help="one case by its name")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-rebasin", action="store_true")
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor-seconds", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with_rebasin = PermutationCoordinateDescent is not None and not options.no_rebasin
    clock = time.process_time if options.processor_seconds else time.perf_counter
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, CPU, float32")
    for case in CASES:
        if case.name == options.only or (not options.only and (options.large or not case.large)):
            measure(case, options.repeats, not options.no_plain, with_rebasin, clock)


if __name__ == "__main__":
    main()
