"""From a Program's graph to its Symmetry: one walk, one rule per op.

Every dimension of every parameter starts as one free atom; the rules tie, divide and fix
them (`rules/`). What is left free are the permutation groups. Sound by construction: an op
without a rule fixes every axis that it touches and is named in the report. Does not find
symmetries that are no product of permutations of whole stretches (see `axes.py`) or of nested
ones (see `nesting.py`), and none that only hold for particular values of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.program import Program
from engine.symmetry.axes import Atom, atoms
from engine.symmetry.groups import Group, collect_groups, log_copies
from engine.symmetry.merging import ALONE, Merging, find_merging
from engine.symmetry.nesting import Nesting, find_nesting
from engine.symmetry.report import describe
from engine.symmetry.symmetry import Symmetry
from engine.symmetry.walk import Walk


def derive_symmetry(program: Program) -> Symmetry:
    """Return the permutation groups of a Program's parameters.

    Args:
        program: any Program; nothing but its graph and its constants is read.

    Returns:
        The groups of two units or more, and a report of what is fixed and why.
    """
    walk, found = searched(program)
    shapes = {name: spec.shape for name, spec in program.parameters.items()}
    trainable = frozenset(name for name, spec in program.parameters.items() if spec.trainable)
    return Symmetry(
        groups=tuple(found.groups.values()),
        report=describe(walk.held, walk.algebra, tuple(walk.without_rule)),
        shapes=shapes,
        trainable=trainable,
        aliases=program.aliases,
    )


@dataclass(frozen=True)
class Found:
    """What a walk found: which atoms stand under which, which are one, and the groups."""

    nesting: Nesting
    merging: Merging
    groups: Mapping[Atom, Group]


def searched(program: Program) -> tuple[Walk, Found]:
    """Walk through a Program's graph and collect its groups.

    Where units were followed one by one, the walk is done without that as well (a convolution
    in groups needs whole factors), and where a shuffle meets convolutions in groups, with each of
    those as a stack of convolutions; the walk that finds the most permutations is taken.
    """
    first = _searched(Walk(program))
    algebra, found = first[0].algebra, [first]
    if algebra.scattered:
        found.insert(0, _searched(Walk(program, scattering=False)))
    if algebra.shuffled and algebra.grouped:
        found.append(_searched(Walk(program, stacking=True)))
    return max(found, key=lambda one: log_copies(one[1].groups.values()))


def _searched(walk: Walk) -> tuple[Walk, Found]:
    walk.run()
    algebra, parameters = walk.algebra, [one.axes for one in walk.held]
    nesting = find_nesting(walk.spaces, walk.contacts, parameters, algebra)
    stacked = [axis for one in walk.held if one.rows is not None for axis in one.axes]
    nesting = nesting.without({atom for axis in stacked for atom in atoms(algebra.resolve(axis))})
    merging = find_merging(walk.axes, walk.kinds, walk.contacts, parameters, algebra, nesting)
    for unit in {unit for own in parameters for a in own for unit in atoms(algebra.resolve(a))}:
        if unit.size == 1 and unit not in merging.first:
            algebra.fix(unit, ALONE)
    groups = collect_groups(walk.held, walk.produced, algebra, nesting, merging)
    return walk, Found(nesting, merging, groups)
