"""Every rule by itself: groups counted by hand, and the proof over all of them."""

from __future__ import annotations

import pytest

from engine.symmetry import prove
from tests.symmetry.rules.conftest import Family
from tests.symmetry.rules.table import CASES
from tests.symmetry.tiny import sizes

PLACES = [(name, index) for name, cases in CASES.items() for index in range(len(cases))]


@pytest.mark.parametrize(
    ("name", "index"), PLACES, ids=[f"{name}-{CASES[name][index]}" for name, index in PLACES]
)
def test_groups_are_those_counted_by_hand(family, name, index):
    own: Family = family(name)
    assert sizes(own.symmetry, f"n{index}.") == sorted(own.cases[index].sizes)


@pytest.mark.parametrize("name", CASES)
def test_every_op_of_the_table_has_a_rule(family, name):
    assert family(name).symmetry.report.ops_without_rule == ()


@pytest.mark.parametrize("name", CASES)
def test_the_proof_holds(family, name):
    own: Family = family(name)
    proof = prove(own.program, own.symmetry, dict(own.module.state_dict()))
    assert proof.passed
    assert proof.relative < 1e-12
