"""The algebra against a dense oracle: expressions as permutations of indices."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.symmetry.axes import EMPTY, ONE, Atom, Concat, Expression, Product, atoms, places
from engine.symmetry.unify import NO_REFINEMENT, SINGLE, Algebra, NoRefinementError


def drawn(algebra: Algebra, expressions: list[Expression], seed: int) -> dict[Atom, list[int]]:
    """Draw a permutation for every free atom; fixed atoms stay."""
    generator, found = random.Random(seed), {}
    for expression in expressions:
        for atom in atoms(algebra.resolve(expression)):
            if atom not in found:
                found[atom] = list(range(atom.size))
                if not algebra.is_fixed(atom):
                    generator.shuffle(found[atom])
    return found


def induced(algebra: Algebra, expression: Expression, moves: dict[Atom, list[int]]) -> list[int]:
    """Return how an axis moves, by recursion over its structure."""

    def walk(x: Expression) -> list[int]:
        if isinstance(x, Atom):
            return list(range(x.size)) if algebra.is_fixed(x) else moves[x]
        if isinstance(x, Concat):
            result = []
            for part in x.parts:
                start = len(result)
                result += [start + i for i in walk(part)]
            return result
        result = [0]
        for factor in x.factors:
            result = [i * factor.size + j for i in result for j in walk(factor)]
        return result

    return walk(algebra.resolve(expression))


def by_places(algebra: Algebra, expression: Expression, moves: dict[Atom, list[int]]) -> list[int]:
    """Return the same from the places, one after the other."""
    x = algebra.resolve(expression)
    index = list(range(x.size))
    for place in places(x):
        if algebra.is_fixed(place.atom):
            continue
        before, n = list(index), place.atom.size
        for o in range(place.outer):
            for i in range(n):
                for j in range(place.inner):
                    to = place.start + (o * n + i) * place.inner + j
                    source = place.start + (o * n + moves[place.atom][i]) * place.inner + j
                    index[to] = before[source]
    return index


def random_axis(algebra: Algebra, size: int, generator: random.Random, pool: list[Expression]):
    """Return a random expression of a given size; atoms of a pool may be used again."""
    known = [axis for axis in pool if axis.size == size]
    if known and generator.random() < 0.3:
        return generator.choice(known)
    kind = generator.random()
    divisors = [d for d in range(2, size) if size % d == 0]
    if kind < 0.3 and divisors:
        outer = generator.choice(divisors)
        parts = [random_axis(algebra, n, generator, pool) for n in (outer, size // outer)]
        return algebra.product([algebra.resolve(part) for part in parts])
    if kind < 0.6 and size > 1:
        first = generator.randint(1, size - 1)
        parts = [random_axis(algebra, n, generator, pool) for n in (first, size - first)]
        return algebra.concat([algebra.resolve(part) for part in parts])
    axis = algebra.fixed(size, "drawn") if kind > 0.92 else algebra.free(size)
    pool.append(axis)
    return axis


@settings(max_examples=120, deadline=None)
@given(st.integers(2, 24), st.integers(0, 2**32), st.integers(1, 3))
def test_unified_axes_move_alike(size, seed, times):
    generator, algebra, pool = random.Random(seed), Algebra(), []
    axes = [random_axis(algebra, size, generator, pool) for _ in range(times + 1)]
    for left, right in pairwise(axes):
        algebra.unify(left, right)
    moves = drawn(algebra, [*axes, *pool], seed)
    for axis in axes:
        assert induced(algebra, axis, moves) == induced(algebra, axes[0], moves)
        assert by_places(algebra, axis, moves) == induced(algebra, axis, moves)
        assert sorted(induced(algebra, axis, moves)) == list(range(size))


@settings(max_examples=120, deadline=None)
@given(st.integers(2, 24), st.integers(0, 2**32), st.data())
def test_a_cut_axis_is_its_two_pieces(size, seed, data):
    generator, algebra = random.Random(seed), Algebra()
    axis = random_axis(algebra, size, generator, [])
    offset = data.draw(st.integers(1, size - 1))
    head, tail = algebra.cut(axis, offset)
    moves = drawn(algebra, [axis, head, tail], seed)
    assert (head.size, tail.size) == (offset, size - offset)
    joined = induced(algebra, head, moves) + [offset + i for i in induced(algebra, tail, moves)]
    assert induced(algebra, axis, moves) == joined


@settings(max_examples=120, deadline=None)
@given(st.integers(2, 36), st.integers(0, 2**32), st.data())
def test_a_split_axis_is_its_two_factors(size, seed, data):
    generator, algebra = random.Random(seed), Algebra()
    axis = random_axis(algebra, size, generator, [])
    inner_size = data.draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
    try:
        outer, inner = algebra.split(axis, inner_size)
    except NoRefinementError:
        return
    moves = drawn(algebra, [axis, outer, inner], seed)
    together = [
        i * inner_size + j
        for i in induced(algebra, outer, moves)
        for j in induced(algebra, inner, moves)
    ]
    assert induced(algebra, axis, moves) == together


def test_an_atom_is_refined_by_a_product():
    algebra = Algebra()
    whole, heads, size = algebra.free(128), algebra.free(8), algebra.free(16)
    algebra.unify(whole, algebra.product([heads, size]))
    assert algebra.resolve(whole) == Product((heads, size))


def test_an_atom_is_cut_at_the_boundaries_of_a_concatenation():
    algebra = Algebra()
    whole, a, b = algebra.free(5), algebra.free(2), algebra.free(3)
    algebra.unify(algebra.concat([a, b]), whole)
    assert algebra.resolve(whole) == Concat((a, b))


def test_concatenations_are_cut_at_each_others_boundaries():
    algebra = Algebra()
    parts = [algebra.free(size) for size in (2, 6, 4, 4)]
    algebra.unify(algebra.concat(parts[:2]), algebra.concat(parts[2:]))
    resolved = algebra.resolve(algebra.concat([algebra.resolve(part) for part in parts[:2]]))
    assert [part.size for part in resolved.parts] == [2, 2, 4]


def test_products_refine_each_other():
    algebra = Algebra()
    left = algebra.product([algebra.free(4), algebra.free(6)])
    right = algebra.product([algebra.free(2), algebra.free(12)])
    algebra.unify(left, right)
    assert [factor.size for factor in algebra.resolve(right).factors] == [2, 2, 6]


def test_without_a_common_refinement_both_are_fixed_and_the_rest_stays_free():
    algebra = Algebra()
    inner = algebra.free(5)
    left = algebra.product([algebra.free(4), algebra.free(6), inner])
    right = algebra.product([algebra.free(6), algebra.free(4), algebra.free(5)])
    algebra.unify(left, right)
    outside, inside = algebra.split(left, 5)
    assert algebra.is_fixed(outside)
    assert algebra.reason(outside) == NO_REFINEMENT
    assert not algebra.is_fixed(inside)


def test_fixing_reaches_everything_unified():
    algebra = Algebra()
    a, b = algebra.free(6), algebra.free(6)
    algebra.unify(a, b)
    algebra.unify(b, algebra.fixed(6, "an input"))
    assert algebra.is_fixed(algebra.resolve(a))
    assert algebra.reason(algebra.resolve(a)) == "an input"


def test_the_first_reason_is_kept():
    algebra = Algebra()
    a = algebra.free(3)
    algebra.fix(a, "first")
    algebra.fix(a, "second")
    assert algebra.reason(a) == "first"


def test_a_flattened_concatenation_is_a_concatenation_of_products():
    algebra = Algebra()
    a, b, positions = algebra.free(2), algebra.free(3), algebra.fixed(4, "space")
    joined = algebra.product([algebra.concat([a, b]), positions])
    assert joined == Concat((Product((a, positions)), Product((b, positions))))


def test_neighbouring_fixed_axes_merge():
    algebra = Algebra()
    height, width = algebra.fixed(2, "space"), algebra.fixed(3, "space")
    assert isinstance(algebra.product([height, width]), Atom)
    assert algebra.product([height, width]).size == 6
    assert algebra.reason(algebra.concat([ONE, height])) == "space"
    assert algebra.reason(algebra.concat([ONE, ONE])) == SINGLE


def test_an_axis_of_one_is_no_atom():
    algebra = Algebra()
    assert algebra.free(1) == algebra.fixed(1, "any") == ONE
    assert algebra.product([]) == ONE


def test_a_segment_may_be_empty():
    algebra = Algebra()
    assert algebra.segment(algebra.free(4), 2, 2) == EMPTY


def test_different_lengths_do_not_unify():
    algebra = Algebra()
    with pytest.raises(NoRefinementError, match="lengths 3 and 4 differ"):
        algebra.unify(algebra.free(3), algebra.free(4))


def test_an_axis_is_not_split_into_what_does_not_divide_it():
    algebra = Algebra()
    with pytest.raises(NoRefinementError, match="6 units are not a multiple of 4"):
        algebra.split(algebra.free(6), 4)
    product = algebra.product([algebra.free(4), algebra.free(6)])
    with pytest.raises(NoRefinementError, match="units do not divide"):
        algebra.split(product, 4)
