"""On every network that the grammar can make, the derived symmetry is proved."""

from __future__ import annotations

import pytest
import torch

from engine.program import capture
from engine.symmetry import derive_symmetry, prove
from tests.symmetry.grammar.net import STEPS, VOCABULARY
from tests.symmetry.grammar.oracle import Oracle, permuted
from tests.symmetry.grammar.recorder import record
from tests.symmetry.random_nets import BATCH, example, random_net

NETS = 375
EXPORTED = 30
"""One network in so many goes through `torch.export`; the others are recorded."""


def program_of(net, seed):
    x = example(net)
    if seed % EXPORTED == 0:
        return capture(net, x)
    high = 0 if x.is_floating_point() else VOCABULARY
    try:
        return record(net, x, lowered=seed % 2 == 1, high=high)
    except NotImplementedError:  # an op of torch's own writes in place
        return capture(net, x)


@pytest.mark.parametrize("seed", range(NETS))
def test_the_proof_holds_on_a_random_net(seed):
    net = random_net(seed)
    program = program_of(net, seed)
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    params = dict(net.state_dict())
    assert prove(program, symmetry, params, seed=seed, batch=BATCH).relative < 1e-9
    oracle = Oracle(net, example(net))
    permutation = symmetry.random(torch.Generator().manual_seed(seed))
    assert oracle.difference(symmetry, permutation) < 1e-9
    assert all(found < 1e-9 for found in oracle.alone(symmetry, permutation).values())
    ours, theirs = permuted(symmetry, permutation, params), symmetry.apply(permutation, params)
    assert all(torch.equal(ours[name], theirs[name]) for name in params)
    expected = net.ledger.expected()
    if expected is not None:
        assert sorted((group.copies, group.size) for group in symmetry.groups) == expected


def test_every_step_of_the_grammar_is_taken_and_most_networks_are_counted():
    nets = [random_net(seed) for seed in range(NETS)]
    taken = {name for net in nets for name in net.names}
    assert {step.__name__ for steps in STEPS.values() for step in steps} <= taken
    counted = [net.ledger.expected() for net in nets]
    assert sum(groups is not None for groups in counted) > NETS / 2
    assert sum(any(copies > 1 for copies, _ in groups or ()) for groups in counted) > 40


def test_some_networks_follow_channels_from_group_to_group():
    """Grouped convolutions behind a shuffle, each of their groups with axes of its own."""
    found = 0
    for seed in range(NETS):
        net = random_net(seed)
        if "grouped_and_shuffled" in net.names:
            symmetry = derive_symmetry(program_of(net, seed))
            found += any(o.rows for group in symmetry.groups for o in group.occurrences)
    assert found > 4
