"""Ways out of local optima of weight matching: random starts and escapes, at the same cost.

Run `python -m benchmarks.escapes A B --seconds 10` on two checkpoints, or with a case of
`benchmarks/networks.py` by name: `python -m benchmarks.escapes --case ResNet18`. Each way goes
on until it has used the processor for so many seconds and then returns the best it has; one
thread. `docs/matching.md` keeps the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.networks import CASES, state, traced
from engine import build_program, derive_symmetry, load_checkpoint, match_weights, recognise
from engine.matching import MatchResult
from engine.program import Program
from engine.symmetry import Symmetry

ENDLESS = 10**6
WAYS: Mapping[str, Mapping[str, int]] = {
    "one start": {},
    "random starts": {"restarts": ENDLESS},
    "escapes": {"escapes": ENDLESS},
}

Pair = tuple[Program, Symmetry, Mapping[str, Tensor], Mapping[str, Tensor]]


def stored_pair(a: str, b: str) -> Pair:
    one, two = load_checkpoint(a), load_checkpoint(b)
    program = build_program(recognise(one.tensors)).under_names(one.tensors)
    return program, derive_symmetry(program), one.tensors, two.tensors


def random_pair(name: str) -> Pair:
    case = {case.name: case for case in CASES}[name]
    one, two = case.model(0), case.model(1)
    return *traced(case, one), state(one), state(two)


def after(seconds: float) -> Callable[[], bool]:
    """Return what says that the processor has been used for so long."""
    end = time.process_time() + seconds
    return lambda: time.process_time() > end


def measure(pair: Pair, seconds: float, seeds: int) -> None:
    for seed in range(seeds):
        for way, options in WAYS.items():
            began = time.process_time()
            stop = after(seconds) if options else None
            found = match_weights(*pair, seed=seed, should_stop=stop, **options)
            taken = time.process_time() - began
            print(
                f"seed {seed}, {way:13} {found.objective:10.2f} after {taken:5.1f} s, "
                f"{_tries(way, found)}",
                flush=True,
            )


def _tries(way: str, found: MatchResult) -> str:
    return f"{len(found.restarts)} starts" if way != "escapes" else f"{found.sweeps} sweeps+escapes"


def main() -> None:
    """Print one line for each seed and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="two checkpoints")
    parser.add_argument("--case", choices=[case.name for case in CASES])
    parser.add_argument("--seconds", type=float, default=10.0, help="of the processor, each way")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if bool(options.case) == bool(options.models) or len(options.models) not in (0, 2):
        parser.error("give two checkpoints or --case")
    torch.set_num_threads(1)
    pair = random_pair(options.case) if options.case else stored_pair(*options.models)
    measure(pair, options.seconds, options.seeds)


if __name__ == "__main__":
    main()
