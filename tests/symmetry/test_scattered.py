"""Axes divided into single units and put together in another order."""

from __future__ import annotations

import pytest

from engine.symmetry.axes import Atom, Concat, Product, atoms
from engine.symmetry.merging import find_merging
from engine.symmetry.nesting import Contact, Nesting
from engine.symmetry.occurrence import Occurrence, combined, places_of
from engine.symmetry.scattered import may_scatter, taken
from engine.symmetry.unify import Algebra


def test_a_stretch_is_cut_out_and_divides_nothing_else():
    algebra = Algebra()
    axis = algebra.free(8)
    assert taken(algebra, axis, [2, 3, 4]).size == 3
    assert [part.size for part in algebra.resolve(axis).parts] == [2, 3, 3]
    assert not algebra.scattered


def test_stretches_in_another_order_stay_whole():
    algebra = Algebra()
    axis = algebra.free(6)
    turned = taken(algebra, axis, [3, 4, 5, 0, 1, 2])
    first, second = algebra.resolve(axis).parts
    assert turned == Concat((second, first))
    assert not algebra.scattered


def test_single_units_are_those_of_the_axis():
    algebra = Algebra()
    axis = algebra.free(4)
    dealt = taken(algebra, axis, [0, 2, 1, 3])
    units = algebra.resolve(axis).parts
    assert dealt.parts == (units[0], units[2], units[1], units[3])
    assert algebra.scattered
    assert all(unit.size == 1 and not algebra.is_fixed(unit) for unit in units)


def test_units_of_a_product_are_those_of_its_factors():
    algebra = Algebra()
    outer, inner = algebra.free(2), algebra.free(3)
    units = algebra.units(algebra.product([outer, inner]))
    assert len(units) == 6
    assert [len(set(atoms(unit))) for unit in units] == [2] * 6
    assert len({atom for unit in units for atom in atoms(unit)}) == 5


def test_units_of_a_fixed_axis_are_fixed_for_its_reason():
    algebra = Algebra()
    axis = algebra.fixed(3, "because")
    assert all(algebra.reason(unit) == "because" for unit in algebra.units(axis))


def test_a_single_unit_that_is_cut_out_is_fixed():
    algebra = Algebra()
    axis = algebra.free(4)
    taken(algebra, axis, [0, 2, 1, 3])
    taken(algebra, axis, [2])
    assert [algebra.is_fixed(unit) for unit in algebra.units(axis)] == [False, False, True, False]


def test_products_fixed_axes_and_long_ones_are_not_scattered():
    algebra = Algebra()
    pair = algebra.product([algebra.free(2), algebra.free(2)])
    assert may_scatter(algebra, algebra.free(4))
    assert not may_scatter(algebra, pair)
    assert not may_scatter(algebra, algebra.fixed(4, "because"))
    assert not may_scatter(algebra, algebra.free(10**6))
    assert not may_scatter(Algebra(scattering=False), algebra.free(4))


def test_neighbouring_places_are_one_stretch_and_others_are_pieces():
    first, second = Occurrence("w", 0, 4, 1, 2, 3), Occurrence("w", 0, 10, 1, 1, 3)
    assert combined((first, second)) == Occurrence("w", 0, 4, 1, 3, 3)
    apart = combined((second, first))
    assert apart == Occurrence("w", 0, 4, 1, 3, 3, pieces=((10, 1), (4, 2)))
    assert places_of(apart)[0, :, 0].tolist() == [10, 4, 7]


def merged(axes, parameters, contacts=(), algebra=None, nesting=None):
    nesting = nesting or Nesting({}, {})
    found = find_merging(axes, [], contacts, parameters, algebra or Algebra(), nesting)
    return {frozenset(own) for own in found.members.values()}


A, B, C = Atom(2), Atom(3), Atom(4)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([], {A, B}),
        ([Concat((B, A))], {A, B}),
        ([Concat((A, C))], None),
        ([A], None),
        ([Product((C, Concat((A, B))))], {A, B}),
        ([Concat((Product((A, C)), Product((B, C))))], {A, B}),
        ([Concat((Product((A, C)), Product((C, B))))], None),
        ([Concat((Product((A, C)), B))], None),
        ([Concat((A, B, A, B))], None),
        ([Product((A, Concat((B, C))))], None),
        ([Product((Concat((A, C)), Concat((B, C))))], None),
    ],
)
def test_atoms_are_one_group_if_every_axis_holds_them_alike(axes, expected):
    found = merged(axes, [(Concat((A, B)),)])
    assert found == ({frozenset(expected)} if expected else set())


def test_atoms_that_are_fixed_touched_or_nested_stay_as_they_are():
    own = [(Concat((A, B, C)),)]
    assert merged([], own) == {frozenset((A, B, C))}
    assert merged([], own, [Contact(None, (A,))]) == {frozenset((B, C))}
    assert merged([], own, [Contact((A, B), (A, B, C))]) == set()
    assert merged([], own, nesting=Nesting({A: Atom(5)}, {})) == {frozenset((B, C))}
    algebra = Algebra()
    algebra.fix(C, "because")
    assert merged([], own, algebra=algebra) == {frozenset((A, B))}
