"""Where weight matching begins: at the identity, as the paper has it, or anchored.

Run `python -m benchmarks.starts A B` on two checkpoints, or `--case NAME …` with cases of
`benchmarks/networks.py`. Both starts in turn in one process, with the same visiting orders and
solver, by processor seconds on one thread. `docs/matching.md` keeps the table.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import torch

from benchmarks.escapes import Pair, random_pair, stored_pair
from benchmarks.networks import CASES
from engine.matching import Problem
from engine.matching.anchored import anchored_start
from engine.matching.descent import Climber

ANCHORED = "anchored"
STARTS = ("identity", ANCHORED)


def climb(pair: Pair, start: str, seed: int) -> tuple[float, int, float]:
    """Return processor seconds, sweeps and the objective at the end."""
    program, symmetry, a, b = pair
    began = time.process_time()
    with torch.inference_mode():
        problem = Problem(symmetry, a, b, exclude=program.statistics_names)
        with Climber(problem) as climber:
            perms = problem.identity()
            if start == ANCHORED:
                perms = anchored_start(problem, climber.visit)
            generator = torch.Generator().manual_seed(seed)
            found = climber.climb(perms, generator, problem.objective(perms))
    return time.process_time() - began, found.sweeps, found.trace[-1]


def measure(name: str, pair: Pair, seeds: int) -> None:
    """Print a row: medians of the seconds and sweeps, and every objective."""
    rows = {start: [] for start in STARTS}
    climb(pair, ANCHORED, 0)  # warm up
    for seed in range(seeds):
        for start in STARTS:
            rows[start].append(climb(pair, start, seed))
    cells = [name]
    for start in STARTS:
        seconds, sweeps, ends = zip(*rows[start], strict=True)
        cells += [
            f"{statistics.median(seconds):.2f}",
            f"{statistics.median(sweeps):g}",
            f"{statistics.mean(ends):.1f} ({min(ends):.1f} to {max(ends):.1f})",
        ]
    print(f"| {' | '.join(cells)} |", flush=True)


def pairs(options: argparse.Namespace) -> Iterator[tuple[str, Pair]]:
    """Yield the pairs that were asked for, with their names."""
    if options.models:
        yield " and ".join(options.models), stored_pair(*options.models)
    for name in options.case:
        yield name, random_pair(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", help="two checkpoints")
    parser.add_argument("--case", nargs="*", default=[], choices=[case.name for case in CASES])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if len(options.models) not in (0, 2) or not (options.models or options.case):
        parser.error("name two checkpoints, or --case")
    torch.set_num_threads(1)
    columns = [f"{start}: {what}" for start in STARTS for what in ("s", "sweeps", "objective")]
    print(f"| pair | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}")
    for name, pair in pairs(options):
        measure(name, pair, options.seeds)


if __name__ == "__main__":
    main()
