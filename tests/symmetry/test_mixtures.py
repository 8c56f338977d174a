"""Mixtures of experts: whether their order is a group, by the way in which they are written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.symmetry.tiny import derived

COUNT = 3
STACKED = {"w": (COUNT, 5, 4), "v": (COUNT, 4, 2), "g": (5, COUNT)}
APART = {f"{name}{e}": shape[1:] for e in range(COUNT) for name, shape in STACKED.items()}
APART = {name: shape for name, shape in APART.items() if name[0] != "g"} | {"g": (5, COUNT)}


def stacked(p, x) -> Tensor:
    """What every expert makes of every token, [b, t, e, c]."""
    hidden = torch.einsum("btc,ech->bteh", x, p.w).relu()
    return torch.einsum("bteh,ehc->btec", hidden, p.v)


def apart(p, x) -> list[Tensor]:
    """The same, from parameters of its own for each expert."""
    return [(x @ getattr(p, f"w{e}")).relu() @ getattr(p, f"v{e}") for e in range(COUNT)]


def scores(p, x) -> Tensor:
    return (x @ p.g).softmax(-1)


def best(p, x) -> Tensor:
    """The scores of the two best experts, zero for the others."""
    weights, chosen = scores(p, x).topk(2)
    return torch.zeros_like(x @ p.g).scatter(-1, chosen, weights)


def by_number(p, x) -> Tensor:
    weights, chosen = scores(p, x).topk(2)
    masks = (((chosen == e) * weights).sum(-1, True) for e in range(COUNT))
    return sum(out * mask for out, mask in zip(apart(p, x), masks, strict=True))


MIXTURES = {
    "all, weighted": (
        lambda p, x: (stacked(p, x) * scores(p, x)[..., None]).sum(2),
        STACKED,
        [(1, 3), (3, 4)],
    ),
    "the best few": (
        lambda p, x: (stacked(p, x) * best(p, x)[..., None]).sum(2),
        STACKED,
        [(3, 4)],
    ),
    "apart, by number": (by_number, APART, [(1, 4)] * COUNT),
    "apart, stacked in the graph": (
        lambda p, x: (torch.stack(apart(p, x), 2) * scores(p, x)[..., None]).sum(2),
        APART,
        [(1, 4)] * COUNT,
    ),
}
"""Name → function, shapes, the groups as (copies, size)."""


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_has_the_groups_that_the_documentation_says(name):
    function, shapes, expected = MIXTURES[name]
    symmetry, proof = derived(function, shapes, (3, 5))
    assert sorted((group.copies, group.size) for group in symmetry.groups) == expected
    assert proof.passed
