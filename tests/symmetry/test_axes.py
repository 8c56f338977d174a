"""Axis expressions: sizes and places, against a dense oracle."""

from __future__ import annotations

from engine.symmetry.axes import EMPTY, ONE, Atom, Concat, Place, Product, atoms, places


def test_sizes_multiply_and_add():
    a, b = Atom(2), Atom(3)
    assert Product((a, b)).size == 6
    assert Concat((a, b, a)).size == 7
    assert (ONE.size, EMPTY.size) == (1, 0)


def test_an_atom_equals_only_itself():
    assert Atom(2) != Atom(2)
    a = Atom(2)
    assert Product((a, a)) == Product((a, a))


def test_atoms_are_listed_from_left_to_right():
    a, b, c = Atom(2), Atom(3), Atom(4)
    assert list(atoms(Product((a, Concat((b, c, b)))))) == [a, b, c, b]


def test_places_of_a_flattened_image():
    channels, positions = Atom(4), Atom(9)
    assert list(places(Product((channels, positions)))) == [
        Place(channels, 0, 1, 9),
        Place(positions, 0, 4, 1),
    ]


def test_places_in_a_concatenation_start_where_their_part_starts():
    a, b, inner = Atom(2), Atom(3), Atom(5)
    found = list(places(Concat((a, Product((b, inner)), a))))
    assert found == [
        Place(a, 0, 1, 1),
        Place(b, 2, 1, 5),
        Place(inner, 2, 3, 1),
        Place(a, 17, 1, 1),
    ]


def test_a_concatenation_under_a_product_is_unrolled():
    heads, q, k = Atom(2), Atom(3), Atom(4)
    found = list(places(Product((heads, Concat((q, k))))))
    assert found == [
        Place(heads, 0, 1, 7),
        Place(q, 0, 1, 1),
        Place(k, 3, 1, 1),
        Place(q, 7, 1, 1),
        Place(k, 10, 1, 1),
    ]


def test_expressions_print_readably():
    shown = repr(Concat((Atom(2), Product((Atom(3), Atom(4))))))
    assert shown.count("|") == 1
    assert shown.count("×") == 1
    assert ":3" in shown
