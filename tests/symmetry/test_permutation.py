"""Permutations: laws, checks, files."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from engine.errors import SymmetryError
from engine.symmetry import Permutation

SIZES = {"first": 5, "second.conv[0:4]": 3}


def random_permutation(seed: int) -> Permutation:
    generator = torch.Generator().manual_seed(seed)
    return Permutation({n: torch.randperm(k, generator=generator) for n, k in SIZES.items()})


seeds = st.integers(0, 2**32)


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_a_permutation_and_its_inverse_cancel(seed):
    p = random_permutation(seed)
    assert p.compose(p.inverse()).is_identity
    assert p.inverse().compose(p).is_identity
    assert p.inverse().inverse() == p


@settings(deadline=None, max_examples=50)
@given(seeds, seeds, seeds)
def test_composition_is_associative(i, j, k):
    p, q, r = map(random_permutation, (i, j, k))
    assert p.compose(q).compose(r) == p.compose(q.compose(r))


def test_composition_runs_the_argument_first():
    units = torch.tensor([10, 20, 30])
    p, q = Permutation({"g": torch.tensor([1, 2, 0])}), Permutation({"g": torch.tensor([0, 2, 1])})
    assert torch.equal(units[p.compose(q)["g"]], units[q["g"]][p["g"]])


def test_moved_counts_the_units_that_change_place():
    p = Permutation({"a": torch.tensor([1, 0, 2]), "b": torch.tensor([0, 1])})
    assert (p.moved, p.is_identity) == (2, False)
    assert "2 units moved" in repr(p)


def test_the_vectors_cannot_be_changed_from_outside():
    vector = torch.tensor([1, 0])
    p = Permutation({"a": vector})
    vector[0] = 0
    p["a"][0] = 0
    assert p["a"].tolist() == [1, 0]


def test_a_file_holds_the_same_permutation(tmp_path):
    p = random_permutation(1)
    p.save(tmp_path / "p.safetensors")
    assert Permutation.load(tmp_path / "p.safetensors") == p
    assert p != random_permutation(2)


def test_equality_needs_the_same_groups():
    assert Permutation({}) != Permutation({"a": torch.tensor([0])})
    assert Permutation({}) != "a permutation"


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (torch.tensor([0, 0, 2]), r"group a: not each of 0 … 2 appears once"),
        (torch.tensor([1, 2, 3]), r"group a: not each of 0 … 2 appears once"),
        (torch.tensor([-1, 0, 1]), r"group a: not each of 0 … 2 appears once"),
        (torch.tensor([0.0, 1.0]), r"group a: a permutation is a vector of integers"),
        (torch.tensor([[[0, 1]]]), r"got torch.int64 of shape \[1, 1, 2\]"),
    ],
)
def test_what_is_no_bijection_is_refused(vector, message):
    with pytest.raises(SymmetryError, match=message):
        Permutation({"a": vector})


def test_permutations_of_different_groups_do_not_compose():
    with pytest.raises(SymmetryError, match="different groups cannot be composed"):
        random_permutation(0).compose(Permutation({"first": torch.arange(5)}))


def test_a_file_that_holds_no_permutation_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(SymmetryError, match=r"p\.safetensors holds no permutation"):
        Permutation.load(path)
    with pytest.raises(SymmetryError, match=r"missing\.safetensors holds no permutation"):
        Permutation.load(tmp_path / "missing.safetensors")


# --- nested groups -----------------------------------------------------------------------

WITHIN = {"unit": "head"}


def random_nested(seed: int) -> Permutation:
    """Five heads of three units each, and four rows of two under fixed units."""
    generator = torch.Generator().manual_seed(seed)

    def rows(copies: int, size: int) -> torch.Tensor:
        return torch.stack([torch.randperm(size, generator=generator) for _ in range(copies)])

    head = torch.randperm(5, generator=generator)
    return Permutation({"head": head, "unit": rows(5, 3), "alone": rows(4, 2)}, WITHIN)


@settings(deadline=None, max_examples=50)
@given(seeds, seeds, seeds)
def test_nested_permutations_are_a_group(i, j, k):
    p, q, r = map(random_nested, (i, j, k))
    assert p.compose(q).compose(r) == p.compose(q.compose(r))
    assert p.compose(p.inverse()).is_identity
    assert p.inverse().compose(p).is_identity
    assert p.inverse().inverse() == p
    assert (p.inverse().within, p.compose(q).within) == (WITHIN, WITHIN)


@settings(deadline=None, max_examples=30)
@given(seeds, seeds)
def test_nested_composition_is_that_of_the_units(i, j):
    p, q = random_nested(i), random_nested(j)
    units = torch.arange(15).view(5, 3)

    def act(on: torch.Tensor, by: Permutation) -> torch.Tensor:
        return torch.stack([on[k][by["unit"][h]] for h, k in enumerate(by["head"].tolist())])

    assert torch.equal(act(units, p.compose(q)), act(act(units, q), p))


def test_a_nested_unit_moves_with_what_it_stands_under():
    unmoved = torch.arange(3).repeat(2, 1)
    p = Permutation({"head": torch.tensor([1, 0]), "unit": unmoved}, WITHIN)
    assert (p.moved_of("unit"), p.moved, p.units) == (6, 8, 8)
    rows = torch.tensor([[0, 1, 2], [1, 0, 2]])
    p = Permutation({"head": torch.tensor([0, 1]), "unit": rows}, WITHIN)
    assert (p.moved_of("unit"), p.moved) == (2, 2)
    assert p.alone("head").is_identity
    assert p.alone("unit") == p


def test_a_file_holds_the_nesting(tmp_path):
    p = random_nested(3)
    p.save(tmp_path / "p.safetensors")
    assert Permutation.load(tmp_path / "p.safetensors") == p
    assert p != Permutation(dict(p))


def test_a_file_without_nesting_is_as_it_always_was(tmp_path):
    random_permutation(1).save(tmp_path / "p.safetensors")
    with safe_open(str(tmp_path / "p.safetensors"), framework="pt") as file:
        assert file.metadata() == {"format": "basinscope permutation"}


@pytest.mark.parametrize("within", ["[1]", '{"unit": 3}', "{", "[" * 5000])
def test_a_file_whose_nesting_makes_no_sense_is_refused(tmp_path, within):
    path = tmp_path / "p.safetensors"
    save_file({"unit": torch.arange(2)}, str(path), metadata={"within": within})
    with pytest.raises(SymmetryError, match=r"p\.safetensors holds no permutation"):
        Permutation.load(path)


ROWS = torch.arange(3).repeat(2, 1)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"unit": torch.arange(3), "head": torch.arange(2)}, "unit: a nested group has a row per"),
        ({"head": torch.arange(2)}, "group unit: a nested group has a row per index of head"),
        ({"unit": ROWS}, "unit: it has 2 rows, so head must be a group of as many units"),
        ({"unit": ROWS, "head": torch.arange(3)}, "so head must be a group of as many units"),
        ({"unit": ROWS, "head": ROWS}, "itself not nested"),
        ({"unit": ROWS.T, "head": torch.arange(3)}, "unit: not each of 0 … 1 appears once"),
    ],
)
def test_a_nesting_that_does_not_fit_is_refused(vectors, message):
    with pytest.raises(SymmetryError, match=message):
        Permutation(vectors, WITHIN)


def test_permutations_that_nest_differently_do_not_compose():
    p = random_nested(0)
    with pytest.raises(SymmetryError, match="different groups cannot be composed"):
        p.compose(Permutation(dict(p)))
