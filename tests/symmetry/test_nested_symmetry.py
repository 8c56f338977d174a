"""How nested groups act on parameters, against loops by hand."""

from __future__ import annotations

from math import factorial, log10

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SymmetryError
from engine.symmetry import Group, Occurrence, Permutation, Report, Symmetry

HEADS = Occurrence("qkv", 0, 0, 1, 2, 3), Occurrence("qkv", 0, 6, 1, 2, 3)
ROWS = Occurrence("fixed", 0, 0, 1, 4, 1)
NESTED = Symmetry(
    groups=(
        Group(
            "head",
            2,
            (
                *HEADS,
                Occurrence("out", 1, 0, 1, 2, 3),
                Occurrence("split", 0, 0, 1, 2, 1),
                Occurrence("apart", 2, 1, 1, 2, 1),
                Occurrence("scale", 0, 0, 1, 2, 1),
            ),
        ),
        Group(
            "unit",
            3,
            (
                Occurrence("qkv", 0, 0, 2, 3, 1, HEADS[0]),
                Occurrence("qkv", 0, 6, 2, 3, 1, HEADS[1]),
                Occurrence("out", 1, 0, 2, 3, 1, Occurrence("out", 1, 0, 1, 2, 3)),
                Occurrence("split", 1, 0, 1, 3, 1, Occurrence("split", 0, 0, 1, 2, 1)),
                Occurrence("apart", 0, 0, 1, 3, 2, Occurrence("apart", 2, 1, 1, 2, 1)),
            ),
            copies=2,
            within="head",
        ),
        Group(
            "row", 2, (Occurrence("fixed", 1, 1, 1, 2, 1, Occurrence("fixed", 0, 0, 1, 4, 1)),), 4
        ),
        Group("stream", 4, (Occurrence("out", 0, 0, 1, 4, 1), Occurrence("split", 2, 0, 1, 4, 1))),
    ),
    report=Report((), ()),
    shapes={
        "qkv": (12, 5),
        "out": (4, 6),
        "split": (2, 3, 4),
        "apart": (6, 5, 3),
        "scale": (2,),
        "fixed": (4, 3),
    },
    trainable=frozenset({"qkv", "out", "split", "apart", "scale", "fixed"}),
)
"""By hand: nested on one axis, twice; on two axes; outer units behind the inner ones."""


def nested_params() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {n: torch.randn(shape, generator=generator) for n, shape in NESTED.shapes.items()}


def by_hand(p: Permutation, params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Apply a permutation of `NESTED` by loops over the heads."""
    head, unit, row, stream = p["head"], p["unit"], p["row"], p["stream"]
    new = {name: tensor.clone() for name, tensor in params.items()}
    for h, k in enumerate(head.tolist()):
        for part in range(2):
            place = torch.arange(3) + 6 * part
            new["qkv"][3 * h + place] = params["qkv"][3 * k + 6 * part + unit[h]]
        new["out"][:, 3 * h : 3 * h + 3] = params["out"][stream][:, 3 * k + unit[h]]
        new["split"][h] = params["split"][k][unit[h]][:, stream]
        units = params["apart"].view(3, 2, 5, 3)[..., 1 + k][unit[h]]
        new["apart"].view(3, 2, 5, 3)[..., 1 + h] = units
    new["scale"] = params["scale"][head]
    for h in range(4):
        new["fixed"][h, 1:] = params["fixed"][h, 1 + row[h]]
    return new


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_nested_groups_act_as_by_hand_bit_for_bit(i, j):
    p, q = (NESTED.random(torch.Generator().manual_seed(seed)) for seed in (i, j))
    params = nested_params()
    moved = NESTED.apply(p, params)
    expected = by_hand(p, params)
    assert all(torch.equal(moved[name], expected[name]) for name in params)
    assert all(tensor.is_contiguous() for tensor in moved.values())
    back = NESTED.apply(p.inverse(), moved)
    assert all(torch.equal(back[name], params[name]) for name in params)
    together = NESTED.apply(p.compose(q), params)
    after = NESTED.apply(p, NESTED.apply(q, params))
    assert all(torch.equal(together[name], after[name]) for name in params)


def test_nested_groups_count_once_per_outer_unit():
    copies = factorial(2) * factorial(3) ** 2 * factorial(2) ** 4 * factorial(4)
    assert NESTED.log10_copies == pytest.approx(log10(copies))
    assert NESTED.identity().is_identity
    assert NESTED.identity().units == 2 + 6 + 8 + 4
    assert NESTED.within == {"unit": "head"}
    assert NESTED.moved_parameters == 60 + 24 + 24 + 90 + 2 + 8


def test_a_permutation_that_nests_in_another_way_is_refused():
    identity = NESTED.identity()
    with pytest.raises(SymmetryError, match="nests its groups in another way"):
        NESTED.apply(Permutation(dict(identity)), nested_params())
    flat = Permutation({**identity, "row": torch.arange(2)}, identity.within)
    with pytest.raises(SymmetryError, match=r"row has 4 rows of 2 units.*shape \[2\]"):
        NESTED.apply(flat, nested_params())
    deep = Permutation({**identity, "stream": torch.arange(4)[None]}, identity.within)
    with pytest.raises(SymmetryError, match=r"stream has one row of units.*shape \[1, 4\]"):
        NESTED.apply(deep, nested_params())
    short = Permutation({**identity, "row": torch.arange(2).repeat(3, 1)}, identity.within)
    with pytest.raises(SymmetryError, match=r"row has 4 rows of 2 units.*shape \[3, 2\]"):
        NESTED.apply(short, nested_params())
