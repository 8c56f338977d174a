"""On every network that the grammar can make, the derived symmetry is proved."""

from __future__ import annotations

import pytest
import torch

from engine.symmetry import derive_symmetry, prove
from tests.symmetry.random_nets import random_net
from tests.symmetry.tiny import program_of

NETS = 64
SCATTERED = {21}
"""Where shuffles and crops leave no stretch of an axis whose units may be exchanged."""


@pytest.mark.parametrize("seed", range(NETS))
def test_the_proof_holds_on_a_random_net(seed):
    module = random_net(seed)
    program = program_of(module, (2, 4, 4))
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    assert symmetry.groups or seed in SCATTERED
    params = dict(module.state_dict())
    assert prove(program, symmetry, params, seed=seed).relative < 1e-9
    permutation = symmetry.random(torch.Generator().manual_seed(seed))
    back = symmetry.apply(permutation.inverse(), symmetry.apply(permutation, params))
    assert all(torch.equal(back[name], params[name]) for name in params)
