"""Nested groups: found where the graph allows for them, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ProofError
from engine.program import capture
from engine.symmetry import derive, derive_symmetry, layout, nesting, prove, spaces
from engine.symmetry.axes import Atom, Concat, Product
from engine.symmetry.nesting import Contact, Space, find_nesting
from engine.symmetry.unify import Algebra
from tests.symmetry import nets
from tests.symmetry.cases_nested import NESTED, SHARED, H
from tests.symmetry.tiny import Tiny, derived, program_of

CASES = {name: (*case, [])[:3] for name, case in {**NESTED, **SHARED}.items()}


def nested(symmetry) -> list[tuple[str, int, int]]:
    """Return the nested groups as (first parameter, copies, size)."""
    return [(g.occurrences[0].parameter, g.copies, g.size) for g in symmetry.groups if g.nested]


@pytest.mark.parametrize("name", CASES)
def test_what_is_nested_and_what_is_not(name):
    function, shapes, expected = CASES[name]
    symmetry, proof = derived(function, shapes, (3, 5))
    assert nested(symmetry) == expected
    assert symmetry.report.ops_without_rule == ()
    assert proof.passed
    for group in symmetry.groups:
        outer = next((g for g in symmetry.groups if g.name == group.within), None)
        assert outer is None or (outer.size, outer.nested) == (group.copies, False)


UNITS_APART = ("the units of one head gate another", "heads and units exchanged")
"""Where the first parameter's axis is no product of outer and inner units."""


def nest_by_force(seen, contacts, parameters, algebra):
    """Nest the inner units of the first parameter, whatever the graph says."""
    axes = [algebra.resolve(axis) for axis in next(iter(parameters))]
    outer, inner = axes[1].factors if len(axes) == 2 else (axes[0], axes[2])
    return nesting.Nesting({inner: outer}, nesting.same_fixed_atoms(algebra))


@pytest.mark.parametrize("name", [name for name in SHARED if name not in UNITS_APART])
def test_the_proof_catches_what_is_nested_by_force(monkeypatch, name):
    function, shapes, _ = CASES[name]
    module = Tiny(function, shapes)
    program = program_of(module, (3, 5))
    monkeypatch.setattr(derive, "find_nesting", nest_by_force)
    symmetry = derive_symmetry(program)
    assert any(group.copies == symmetry_outer(shapes) for group in symmetry.groups)
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        prove(program, symmetry, dict(module.state_dict()), trials=8)


def symmetry_outer(shapes) -> int:
    """Return how many outer units the first parameter has."""
    first = next(iter(shapes.values()))
    return H if len(first) == 2 else first[0]


FORCED = ["attention", "several queries per key", "experts", "a network per position: fixed"]


@pytest.mark.parametrize("name", FORCED)
def test_rows_in_the_wrong_order_are_caught(monkeypatch, name):
    function, shapes, _ = CASES[name]
    module = Tiny(function, shapes)
    program = program_of(module, (3, 5))
    symmetry = derive_symmetry(program)
    own = layout._orders
    monkeypatch.setattr(
        layout, "_orders", lambda o, p: own(o, p.flip(0) if o.parameter == "v" else p)
    )
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        prove(program, symmetry, dict(module.state_dict()), trials=8)


# --- real networks -----------------------------------------------------------------------

IMAGE = torch.randn(2, 3, 32, 32)
NETS = {
    "transformer": (lambda: nets.Attention(8, 2), torch.randint(0, 11, (2, 5)), [4, 4]),
    "resnext": (lambda: nets.DeepResNet(4, (1, 1), 2), IMAGE, [2, 2, 4, 4]),
    "resnet": (lambda: nets.DeepResNet(2, (1, 1)), IMAGE, []),
    "densenet": (nets.DenseNet, torch.randn(2, 2, 8, 8), []),
    "unet": (nets.UNet, torch.randn(2, 2, 8, 8), [3]),
    "mixer": (nets.Mixer, torch.randn(2, 2, 8, 8), []),
}


@pytest.mark.parametrize("name", NETS)
def test_real_networks_have_the_nested_groups_counted_by_hand(name):
    build, inputs, expected = NETS[name]
    torch.manual_seed(0)
    module = build().eval()
    program = capture(module, inputs)
    symmetry = derive_symmetry(program)
    assert sorted(group.size for group in symmetry.groups if group.nested) == expected
    assert prove(program, symmetry, dict(module.state_dict())).passed


def rotary(x: Tensor) -> Tensor:
    """Rotate pairs (i, i + half) of the last axis by angles that differ per pair and place."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * 10.0 ** -torch.arange(half)
    cos, sin = (torch.cat((f(angles),) * 2, -1) for f in (torch.cos, torch.sin))
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def test_rotary_embeddings_fix_the_units_of_queries_and_keys_and_leave_the_values():
    symmetry, _ = derived(
        lambda p, x: (
            F.scaled_dot_product_attention(
                rotary((x @ p.q).view(-1, 3, 2, 4).transpose(1, 2)),
                rotary((x @ p.k).view(-1, 3, 2, 4).transpose(1, 2)),
                (x @ p.w).view(-1, 3, 2, 4).transpose(1, 2),
            )
            .transpose(1, 2)
            .flatten(2)
            @ p.v
        ),
        {"q": (5, 8), "k": (5, 8), "w": (5, 8), "v": (8, 2)},
        (3, 5),
    )
    assert nested(symmetry) == [("w", 2, 4)]
    assert [group.size for group in symmetry.groups if not group.nested] == [2]


# --- the search itself -------------------------------------------------------------------


def outer_of(axes, *, view: bool = False, contacts=(), fixed=()) -> dict:
    """Return what is nested under what, for one space of atoms named by letters."""
    algebra = Algebra()
    named: dict[str, Atom] = {}

    def build(text: str):
        parts = [
            Product(tuple(named.setdefault(c, Atom(ord(c) - 94)) for c in part))
            for part in text.split("|")
        ]
        return algebra.concat([algebra.product(part.factors) for part in parts])

    built = [tuple(build(text) for text in space) for space in axes]
    for letter in fixed:
        algebra.fix(named[letter], "for the test")
    found = find_nesting(
        [Space(space, view) for space in built],
        [Contact(None if a is None else (named[a],), built[0]) for a in contacts],
        built,
        algebra,
    )
    name_of = {atom: letter for letter, atom in named.items()}
    return {
        name_of[a]: name_of[outer]
        for a in named.values()
        if (outer := found.outer_of(a)) is not None
    }


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([("ab",), ("a",)], {"b": "a"}),
        ([("ba",), ("a",)], {"b": "a"}),
        ([("a", "b"), ("a",)], {"b": "a"}),
        ([("ab",), ("a",), ("b",)], {}),
        ([("ab", "ab"), ("a",)], {"b": "a"}),
        ([("ab", "a"), ("a",)], {"b": "a"}),
        ([("a", "b", "a"), ("a",)], {}),
        ([("aab",), ("a",)], {}),
        ([("ab|ab",), ("a",)], {"b": "a"}),
        ([("ab|b",), ("a",)], {}),
        ([("ab|cb",), ("a",), ("c",)], {}),
        ([("a|c", "b"), ("a",), ("c",)], {}),
        ([("ab|c",), ("a",), ("c",)], {"b": "a"}),
        ([("abc",), ("a",), ("ab",)], {"b": "a", "c": "a"}),
        ([("ab", "bc"), ("b",), ("a",), ("c",)], {}),
    ],
)
def test_an_outer_atom_must_be_told_for_every_place(axes, expected):
    assert outer_of(axes) == expected


def test_a_view_allows_for_one_outer_atom_only():
    assert outer_of([("ab", "ab"), ("a",)], view=True) == {}
    assert outer_of([("ab", "c"), ("ab",), ("a",), ("c",)], view=True) == {"b": "a"}


def test_what_touches_both_keeps_them_together():
    axes = [("ab",), ("a",)]
    assert outer_of(axes, contacts=["a"]) == {}
    assert outer_of(axes, contacts=[None]) == {}
    assert outer_of(axes, contacts=["b"]) == {"b": "a"}


def test_fixed_units_number_copies_and_are_never_copied():
    assert outer_of([("ab",), ("a",)], fixed="a") == {"b": "a"}
    assert outer_of([("ab",), ("a",)], fixed="b") == {}


def test_an_axis_of_too_many_terms_is_not_looked_into():
    many = Concat(tuple(Atom(2) for _ in range(nesting.MOST_TERMS + 1)))
    a, b = Atom(2), Atom(3)
    spaces_ = [Space((Product((a, b)), many)), Space((a,))]
    assert find_nesting(spaces_, [], [(Product((a, b)),)], Algebra()).outer_of(b) is None


def test_an_op_that_is_not_known_keeps_all_that_it_touches_together(monkeypatch):
    name, (function, shapes, expected) = "attention", CASES["attention"]
    assert nested(derived(function, shapes, (3, 5))[0]) == expected, name
    monkeypatch.setattr(spaces, "RUNS", {k: v for k, v in spaces.RUNS.items() if k != "softmax"})
    assert nested(derived(function, shapes, (3, 5))[0]) == expected  # it has the scores alone
    monkeypatch.setattr(spaces, "RUNS", {k: v for k, v in spaces.RUNS.items() if k != "matmul"})
    assert nested(derived(function, shapes, (3, 5))[0]) == []


class Twice(nn.Module):
    """Two attentions over one residual stream that are tied in their keys' units."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(6, 18)
        self.out = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            q, k, v = (part.view(-1, 3, 2, 3).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            mixed = F.scaled_dot_product_attention(q, k, v)
            x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


def test_a_layer_that_is_called_twice_has_its_groups_once():
    module = Twice().eval()
    program = program_of(nn.Sequential(nn.Linear(4, 6), module), (3, 4))
    symmetry = derive_symmetry(program)
    assert sorted((g.copies, g.size) for g in symmetry.groups) == [(1, 2), (1, 6), (2, 3), (2, 3)]
