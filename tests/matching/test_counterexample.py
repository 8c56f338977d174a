"""Git Re-Basin's 2-2-1 counterexample (arXiv 2209.04836, section 4): no method can help.

Brute force over the four permutations shows a barrier under each; so whatever a method finds
has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from engine.matching import Problem
from engine.program import Program, capture
from engine.symmetry import Permutation, Symmetry, derive_symmetry
from tests.matching.hand import all_permutations
from tests.matching.test_every_method import EVERY, Row, run, short
from tests.repair.test_counterexample import A, B, data

LINE = torch.linspace(0, 1, 25).tolist()


def model() -> tuple[Program, Symmetry]:
    layers = (nn.Linear(2, 2), nn.LeakyReLU(), nn.Linear(2, 2), nn.LeakyReLU(), nn.Linear(2, 1))
    program = capture(nn.Sequential(*layers).eval(), torch.zeros(2, 2))
    return program, derive_symmetry(program)


def barrier(program: Program, other: Mapping[str, Tensor]) -> float:
    """Return by how much the error along the line from A rises above both ends."""
    x, targets = data()
    errors = []
    for place in LINE:
        params = {name: (1 - place) * A[name] + place * other[name] for name in A}
        errors.append(float(((program(params, x)[:, 0] >= -1e-6) != targets).double().mean()))
    assert max(errors[0], errors[-1]) < 0.01
    return max(errors) - max(errors[0], errors[-1])


def test_every_permutation_has_a_barrier():
    program, symmetry = model()
    found = [
        barrier(program, symmetry.apply(permutation, B))
        for permutation in every_permutation(symmetry)
    ]
    assert len(found) == 4
    assert min(found) > 0.09


def every_permutation(symmetry: Symmetry) -> Iterator[Permutation]:
    for perms in all_permutations(Problem(symmetry, A, B)):
        yield Permutation(perms)


@EVERY
def test_no_method_finds_one_without(row: Row):
    program, symmetry = model()
    x, targets = data()
    seen = SimpleNamespace(inputs=x, targets=targets[:, None].float())
    result = run(short(row, 4), program, symmetry, A, B, seen)
    assert barrier(program, symmetry.apply(result.permutation, B)) > 0.09
