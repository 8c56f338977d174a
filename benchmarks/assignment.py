"""Assignment problems: our solver beside lapx and SciPy as they are, on the costs of a descent.

Run `python -m benchmarks.assignment [--case NAME]`: weight matching of two random models of
`benchmarks/networks.py` meets these costs on its way, and random costs of low rank are drawn; each
is solved by all sides in turn, on one thread. Mean milliseconds are printed, without problems in
which no rows compete.
`docs/benchmarks.md` keeps the table.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from lap import lapjvs
from scipy.optimize import linear_sum_assignment

from benchmarks.escapes import random_pair
from benchmarks.networks import CASES
from engine.matching import Problem, lap
from engine.matching.descent import Climber
from engine.matching.weight_matching import first_start

SMALLEST = 128
UNITS, DRAWN, RANKS = 1024, 3, (1, 3, 10, 100)
SIDES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "ours": lap.fastest,
    "lapx": lambda cost: lapjvs(-cost, return_cost=False)[1],
    "SciPy": lambda cost: linear_sum_assignment(cost, maximize=True)[1],
}


def timed(cost: np.ndarray, into: dict[str, list[float]]) -> np.ndarray:
    """Solve a problem by all sides, add the milliseconds of each, and return our solution."""
    found = {}
    for side, solver in SIDES.items():
        began = time.perf_counter()
        found[side] = solver(cost)
        into[side].append(1000 * (time.perf_counter() - began))
    return found["ours"]


def of_a_descent(case: str) -> dict[int, dict[str, list[float]]]:
    """Return milliseconds by size and side."""
    spent: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def solve(cost: np.ndarray) -> np.ndarray:
        largest = cost.argmax(1)
        if len(cost) < SMALLEST or len(np.unique(largest)) == len(largest):
            return lap.fastest(cost)
        return timed(cost, spent[len(cost)])

    program, symmetry, a, b = random_pair(case)
    with torch.inference_mode():
        problem = Problem(symmetry, a, b, exclude=program.statistics_names)
        with Climber(problem, solve) as climber:
            start, objective = first_start(climber)
            climber.climb(start, torch.Generator().manual_seed(0), objective)
    return spent


def of_rank(rank: int) -> dict[str, list[float]]:
    """Return milliseconds by side of random costs of a rank."""
    spent: dict[str, list[float]] = defaultdict(list)
    draws = np.random.default_rng(rank)
    for _ in range(DRAWN):
        left, right = draws.standard_normal((2, UNITS, rank)).astype(np.float32)
        timed(left @ right.T, spent)
    return spent


def print_row(name: object, sides: Mapping[str, list[float]]) -> None:
    cells = [f"{statistics.mean(sides[side]):.2f}" for side in SIDES]
    print(f"| {name} | {len(sides['ours'])} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", default="ResNet50", choices=[case.name for case in CASES])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| units | problems | {' | '.join(f'{side}, ms' for side in SIDES)} |")
    print(f"|{'---|' * (2 + len(SIDES))}")
    for size, sides in sorted(of_a_descent(options.case).items()):
        print_row(size, sides)
    for rank in RANKS:
        print_row(f"{UNITS}, rank {rank}", of_rank(rank))


if __name__ == "__main__":
    main()
