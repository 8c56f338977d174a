"""What the report says of ops without a rule and of fixed axes."""

from __future__ import annotations

import torch

from tests.symmetry.tiny import derived, sizes


def test_an_op_without_a_rule_fixes_what_it_touches_and_is_named():
    symmetry, _ = derived(
        lambda p, x: x @ p.w @ torch.matrix_exp(p.c) @ p.v + (x @ p.u).relu() @ p.y,
        {"w": (3, 4), "c": (4, 4), "v": (4, 2), "u": (3, 6), "y": (6, 2)},
        (3,),
    )
    assert sizes(symmetry) == [6]
    assert "matrix_exp" in symmetry.report.ops_without_rule[0]
    (sentence,) = (s for s in symmetry.report.fixed if "has no rule" in s)
    assert "w axis 1 (4)" in sentence
    assert "c axis 0 (4), axis 1 (4)" in sentence


def test_a_form_that_a_rule_does_not_cover_is_named_as_well():
    symmetry, _ = derived(lambda p, x: x @ p.w.roll(1) @ p.v, {"w": (3, 4), "v": (4, 2)}, (3,))
    assert symmetry.groups == ()
    assert symmetry.report.ops_without_rule == ("aten.roll.default",)


def test_the_report_says_why_axes_are_fixed():
    symmetry, _ = derived(lambda p, x: (x @ p.w) @ p.v, {"w": (3, 4), "v": (4, 2)}, (3,))
    assert symmetry.report.fixed == (
        "w axis 0 (3): it meets an input of the model",
        "v axis 1 (2): it is an output of the model",
    )


def test_the_report_says_how_much_of_an_axis_is_fixed():
    symmetry, _ = derived(
        lambda p, x: torch.cat([x @ p.w, x], 1) @ p.v, {"w": (3, 4), "v": (7, 2)}, (3,)
    )
    assert "w axis 0 (3); v axis 0 (3 of 7): it meets an input of the model" in (
        symmetry.report.fixed
    )
