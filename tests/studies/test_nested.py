"""Nested groups in what a comparison keeps and tells."""

from __future__ import annotations

import pytest
import torch

from engine.matching import match_weights
from engine.program import capture
from engine.studies.alignment import match_arrays, restore_match
from engine.studies.layers import layer_table
from engine.studies.summary import matching_summary, symmetry_summary
from engine.symmetry import derive_symmetry
from tests.symmetry.nets import Attention


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    module = Attention(16, 4).eval()
    program = capture(module, torch.randint(0, 11, (2, 5)))
    symmetry = derive_symmetry(program)
    a = {name: torch.randn(spec.shape) for name, spec in program.parameters.items()}
    b = symmetry.apply(symmetry.random(torch.Generator().manual_seed(1)), a)
    return program, symmetry, a, b, match_weights(program, symmetry, a, b)


def test_a_kept_matching_is_restored_with_its_nesting(found):
    *_, result = found
    restored = restore_match(match_arrays(result), 0)
    assert restored.permutation == result.permutation
    assert len(restored.permutation.within) == 2


def test_the_summary_counts_every_row_and_names_what_a_group_is_within(found):
    _, symmetry, *_, result = found
    groups = symmetry_summary(symmetry)["groups"]
    nested = [group for group in groups if "copies" in group]
    assert [(group["copies"], group["size"]) for group in nested] == [(4, 4), (4, 4)]
    assert {group["within"] for group in nested} == {groups[1]["name"]}
    summary = matching_summary(restore_match(match_arrays(result), 0))
    assert summary["total_units"] == sum(g["size"] * g.get("copies", 1) for g in groups)
    assert summary["moved_units"] == result.permutation.moved > 0


def test_the_layer_table_counts_units_under_every_outer_one(found):
    program, symmetry, a, b, result = found
    pi_b = symmetry.apply(result.permutation, b)
    rows = {
        r["parameter"]: r for r in layer_table(program, symmetry, result.permutation, a, b, pi_b)
    }
    names = [g.name for g in symmetry.groups if any(o.parameter == "v.bias" for o in g.occurrences)]
    moved = sum(result.permutation.moved_of(name) for name in names)
    assert rows["v.bias"]["moved"] == pytest.approx(moved / (4 + 16))
    assert rows["v.bias"]["distance_after"] == 0
