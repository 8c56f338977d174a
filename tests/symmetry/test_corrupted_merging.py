"""The search for scattered groups is broken in many ways, and the proof sees each of them.

What tells two atoms apart is left out piece by piece, and shuffled units are followed to wrong
places. Each corruption is tried on networks that show it: the derived symmetry becomes another
one, and the proof refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ProofError
from engine.program import Program
from engine.symmetry import Occurrence, Symmetry, derive_symmetry, groups, prove, walk
from engine.symmetry.axes import Atom, Expression
from engine.symmetry.merging import _Profiles
from engine.symmetry.occurrence import combined
from engine.symmetry.rules import folded, shape
from engine.symmetry.scattered import taken
from engine.symmetry.unify import Algebra
from engine.symmetry.unvarying import Unvarying
from tests.symmetry.rules.case import Case
from tests.symmetry.test_merging import BATCH, CASES, FLAT, mixed, padded, program_of
from tests.symmetry.tiny import Tiny

TRIALS = 6


def two_masks(p: object, x: Tensor) -> Tensor:
    """Their sum holds four values, two channels each."""
    mask = padded(torch.ones(1, 4)) + 2 * F.pad(torch.ones(1, 4), (4, 0))
    return mixed(p, (x @ p.v.t()) * mask)


def shuffled_by_the_op(p: object, x: Tensor) -> Tensor:
    """Three groups of four channels: a shuffle that does not undo itself."""
    both = torch.cat([x @ p.w.t(), (x @ p.v.t()).cos()], 1)
    return F.channel_shuffle(both[:, :, None], 3).flatten(1).relu() @ p.wide


WIDE = {**FLAT, "wide": (12, 2)}
OWN = (
    Case("two masks", two_masks, FLAT, (3,), (2, 2, 2, 2)),
    Case("shuffled by the op", shuffled_by_the_op, WIDE, (3,), (4, 8)),
)
NETS = {case.name: case for case in (*CASES, *OWN)}


@cache
def traced(name: str) -> tuple[Tiny, Program, Symmetry]:
    module, program = program_of(NETS[name])
    return module, program, derive_symmetry(program)


# --- what is wrong -------------------------------------------------------------------------


def nothing(*_: object) -> None:
    """Leave a step out."""


def entered_as_one_kind(unvarying: Unvarying, new: Iterable[Atom]) -> None:
    """Take zeros for ones."""
    unvarying._kinds |= dict.fromkeys(new, frozenset((0,)))


def renewed_as_one_kind(unvarying: Unvarying, atoms: Collection[Atom]) -> dict[Atom, Atom]:
    """Forget with every use what a tensor held."""
    new = {atom: Atom(atom.size) for atom in atoms if atom in unvarying}
    entered_as_one_kind(unvarying, new.values())
    return new


def combined_backwards(places: tuple[Occurrence, ...]) -> Occurrence:
    """Count the units from the last one on the second axis of a parameter, not on the first."""
    return combined(places[::-1] if places[0].axis else places)


def combined_gaplessly(places: tuple[Occurrence, ...]) -> Occurrence:
    """Take the units to stand side by side."""
    return replace(combined(places), pieces=())


def taken_from_behind(algebra: Algebra, axis: Expression, places: Sequence[int]) -> Expression:
    return taken(algebra, axis, places[::-1])


def taken_as_they_stand(algebra: Algebra, axis: Expression, places: Sequence[int]) -> Expression:
    return taken(algebra, axis, sorted(places))


def taken_the_other_way(algebra: Algebra, axis: Expression, places: Sequence[int]) -> Expression:
    """Deal the units back instead of out."""
    return taken(algebra, axis, torch.tensor(places).argsort().tolist())


def units_of_their_own(algebra: Algebra, axis: Expression) -> list[Expression]:
    """Name the units of an axis, and forget which axis it was."""
    algebra.scattered = True
    return [Atom(1) for _ in range(axis.size)]


@dataclass(frozen=True)
class Corruption:
    """A step of the derivation, what is done instead, and the networks that show it."""

    owner: object
    step: str
    wrong: Callable[..., object]
    nets: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.step} {self.wrong.__name__}"


CORRUPTIONS = (
    Corruption(_Profiles, "look_at", nothing, ("overwritten", "a middle is read")),
    Corruption(
        _Profiles, "tell_apart", nothing, ("pads of two values", "pads that are filled", "masked")
    ),
    Corruption(_Profiles, "leave_out", nothing, ("norm in groups", "shuffled, then summed")),
    Corruption(walk, "kinds_in", lambda *_: (), ("pads of two values", "masked")),
    Corruption(Unvarying, "enter", entered_as_one_kind, ("pads of two values", "masked")),
    Corruption(Unvarying, "renewed", renewed_as_one_kind, ("pads that are filled", "masked")),
    Corruption(Unvarying, "meet", nothing, ("two masks",)),
    Corruption(Unvarying, "discard", nothing, ("pads", "masked", "scattered zeros")),
    Corruption(groups, "combined", combined_backwards, ("pads", "a middle is read", "shuffled")),
    Corruption(groups, "combined", combined_gaplessly, ("pads", "a middle is read", "shuffled")),
    Corruption(Algebra, "units", units_of_their_own, ("shuffled", "shuffled by the op")),
    *(
        Corruption(owner, "taken", wrong, nets)
        for wrong in (taken_from_behind, taken_as_they_stand, taken_the_other_way)
        for owner, nets in (
            (folded, ("shuffled", "shuffled and cut")),
            (shape, ("shuffled by the op",)),
        )
    ),
)
CHECKS = [pytest.param(own, net, id=f"{own} {net}") for own in CORRUPTIONS for net in own.nets]


@pytest.mark.parametrize(("own", "net"), CHECKS)
def test_a_broken_search_for_scattered_groups_is_caught(monkeypatch, own, net):
    module, program, symmetry = traced(net)
    params = dict(module.state_dict())
    assert prove(program, symmetry, params, trials=TRIALS, batch=BATCH).passed
    monkeypatch.setattr(own.owner, own.step, own.wrong)
    wrong = derive_symmetry(program)
    assert moves(wrong) != moves(symmetry)
    with pytest.raises(ProofError, match="a permutation changed the outputs"):
        prove(program, wrong, params, trials=TRIALS, batch=BATCH)


@pytest.mark.parametrize("case", OWN, ids=str)
def test_the_networks_made_for_this_have_the_groups_counted_by_hand(case):
    _, _, symmetry = traced(case.name)
    assert sorted(group.size for group in symmetry.groups) == sorted(case.sizes)


def moves(symmetry: Symmetry) -> set[frozenset[Occurrence]]:
    return {frozenset(group.occurrences) for group in symmetry.groups}
