"""Frank–Wolfe: exact line searches, a relaxed objective that never falls, good optima."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import MatchingError
from engine.matching import StopReason, match_frank_wolfe, match_weights
from engine.matching.frank_wolfe import _Ascent
from engine.matching.problem import Problem
from engine.matching.relaxation import Relaxation
from engine.program import capture
from engine.symmetry import derive_symmetry
from tests.matching.hand import all_permutations, draw, mixed_symmetry, mlp_symmetry, twice_symmetry
from tests.matching.test_activation_matching import lively
from tests.matching.test_weight_matching import traced

SYMMETRIES = {
    "mlp": mlp_symmetry(3, 4, 3, 2),
    "twice": twice_symmetry(4),
    "mixed": mixed_symmetry(),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_each_step_goes_to_the_best_place_of_its_line(name):
    symmetry = SYMMETRIES[name]
    a, b = draw(symmetry, 0), draw(symmetry, 1)
    problem = Problem(symmetry, a, b)
    relaxation = Relaxation(problem, a, b)
    ascent = _Ascent(relaxation, relaxation.centre())
    for _ in range(5):
        here = ascent.matrices
        corner = relaxation.corner(relaxation.nearest(relaxation.slopes(here)[1]))
        if not ascent.step():
            break
        line = [
            relaxation.value({g: here[g] + t * (corner[g] - here[g]) for g in here})
            for t in torch.linspace(0, 1, 201).tolist()
        ]
        assert ascent.trace[-1] >= max(line) - 1e-9 * abs(max(line))
        assert relaxation.value(ascent.matrices) == pytest.approx(ascent.trace[-1], rel=1e-9)
        sums = [m.sum(d) for m in ascent.matrices.values() for d in (-1, -2)]
        assert all(torch.allclose(s, torch.ones_like(s)) for s in sums)
    assert ascent.trace == sorted(ascent.trace)
    assert len(ascent.trace) > 1


def test_small_problems_are_mostly_solved_for_good():
    """Against brute force; weight matching from the identity finds no more of these optima."""
    layers = (nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    program = capture(nn.Sequential(*layers).eval(), torch.zeros(2, 3))
    symmetry = derive_symmetry(program)
    ours = theirs = 0
    for seed in range(6):
        a, b = lively(program, seed), lively(program, seed + 50)
        found = match_frank_wolfe(program, symmetry, a, b)
        problem = Problem(symmetry, a, b)
        best = max(map(problem.objective, all_permutations(problem)))
        ours += found.objective == pytest.approx(best, rel=1e-6)
        theirs += match_weights(program, symmetry, a, b).objective == pytest.approx(best, rel=1e-6)
        assert found.objective >= found.objective_nearest - 1e-6
    assert ours >= max(3, theirs)


def test_steps_end_early_and_are_counted():
    program, symmetry = traced("wide-mlp")
    a, b = lively(program, 0), lively(program, 1)
    whole = match_frank_wolfe(program, symmetry, a, b)
    assert whole.stop_reason is StopReason.CONVERGED
    assert len(whole.gaps) >= whole.sweeps
    assert whole.gaps[0] > whole.gaps[-1]
    two = match_frank_wolfe(program, symmetry, a, b, steps=2)
    assert (two.sweeps, two.stop_reason) == (2, StopReason.ALL_STEPS)
    assert two.trace == whole.trace[:3]


def test_options_that_make_no_sense_are_refused():
    program, symmetry = traced("mlp")
    a = lively(program, 0)
    with pytest.raises(MatchingError, match="steps must be at least 1, not 0"):
        match_frank_wolfe(program, symmetry, a, a, steps=0)
    with pytest.raises(MatchingError, match="start is one of centre, identity, not 'edge'"):
        match_frank_wolfe(program, symmetry, a, a, start="edge")  # pyright: ignore
