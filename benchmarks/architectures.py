"""Derives and proves every architecture of the zoo, and prints the table of the documentation.

Each row is a small network of a family, defined in `tests/zoo` or built there from a config of
`transformers` (`requirements-transformers.txt`), with random parameters in float32 that the
proof lifts to float64. The last row is a full-size ResNet50. Seconds are of processor time, so that
other work on the machine changes them little.

    python -m benchmarks.architectures [--write] [--only WORD ...]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from engine.program import capture
from engine.symmetry import Symmetry, derive_symmetry, prove
from tests.symmetry.nets import DeepResNet
from tests.zoo.entry import Architecture, image
from tests.zoo.table import ZOO

PAGE = Path(__file__).parent.parent / "docs" / "architectures.md"
START, END = "<!-- table: start -->", "<!-- table: end -->"
HEADER = (
    "| architecture | parameters | groups (nested) | moved | log10 copies | ops without a rule "
    "| proof error | tracing, s | derivation, s |\n|---|---|---|---|---|---|---|---|---|"
)
FULL_SIZE = (Architecture("ResNet50, full size", "ResNet", lambda: DeepResNet(64), image(3, 64)),)
ROUNDS = 3


def main() -> None:
    """Print the table; with --write also put it into its page."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name}")
    arguments.add_argument("--only", nargs="*", default=[], help="architectures by part of name")
    options = arguments.parse_args()
    warnings.simplefilter("ignore")  # of tracing torch's recurrent layers, of `transformers`
    chosen = [
        architecture
        for architecture in (*ZOO.values(), *FULL_SIZE)
        if not options.only
        or any(word.lower() in architecture.name.lower() for word in options.only)
    ]
    lines = [HEADER]
    print(HEADER)
    for line in map(row, chosen):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(START)
        after = rest.split(END)[1]
        table = "\n".join(lines)
        PAGE.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


def row(architecture: Architecture) -> str:
    """Return one line of the table."""
    module = architecture.module()
    started = time.process_time()
    program = capture(module, architecture.inputs())
    tracing = time.process_time() - started
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        symmetry = derive_symmetry(program)
        seconds.append(time.process_time() - started)
    with torch.no_grad():
        proof = prove(program, symmetry, dict(module.state_dict()))
    measured = (f"{proof.relative:.0e}", f"{tracing:.1f}", f"{statistics.median(seconds):.3f}")
    return f"| {' | '.join((*_cells(architecture.name, symmetry), *measured))} |"


def _cells(name: str, symmetry: Symmetry) -> Iterator[str]:
    nested = sum(group.nested for group in symmetry.groups)
    yield name
    yield f"{symmetry.total_parameters:,}".replace(",", " ")
    yield f"{len(symmetry.groups)} ({nested})" if nested else f"{len(symmetry.groups)}"
    yield f"{symmetry.moved_parameters / symmetry.total_parameters:.1%}"
    yield f"{symmetry.log10_copies:.0f}"
    yield ", ".join(symmetry.report.ops_without_rule) or "0"


if __name__ == "__main__":
    main()
