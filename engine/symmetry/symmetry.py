"""The permutation symmetry of one architecture: its groups, and how they act on parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import log, prod

import torch
from torch import Tensor

from engine.errors import SymmetryError
from engine.symmetry.groups import Group, log_copies
from engine.symmetry.layout import Layout, axis_index, layouts
from engine.symmetry.permutation import Permutation
from engine.symmetry.report import Report


@dataclass(frozen=True)
class Symmetry:
    """Permutation groups under which a Program computes the same function."""

    groups: tuple[Group, ...]
    report: Report
    shapes: Mapping[str, tuple[int, ...]]
    """Parameter name → shape, for every parameter and floating buffer."""

    trainable: frozenset[str]
    """The names that count as parameters, not as statistics."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    """Further names of tied parameters: alias → parameter name."""

    @cached_property
    def log10_copies(self) -> float:
        """log10 of the number of permutations: Σ log10(n!) over the groups and their copies."""
        return log_copies(self.groups) / log(10)

    @cached_property
    def moved_parameters(self) -> int:
        """The number of trainable scalars that some permutation moves."""
        return sum(
            prod(self.shapes[name]) - _unmoved_in(layout)
            for name, layout in self.layouts.items()
            if name in self.trainable
        )

    @cached_property
    def total_parameters(self) -> int:
        """The number of trainable scalars."""
        return sum(prod(shape) for name, shape in self.shapes.items() if name in self.trainable)

    @cached_property
    def within(self) -> dict[str, str]:
        """Nested group → the group that numbers its copies."""
        return {g.name: g.within for g in self.groups if g.within is not None}

    @cached_property
    def layouts(self) -> Mapping[str, Layout]:
        """Parameter name → its layout, for every parameter that some group permutes."""
        return layouts(self.groups, self.shapes)

    def identity(self) -> Permutation:
        """Return the permutation that moves nothing."""
        return Permutation({group.name: unmoved(group) for group in self.groups}, self.within)

    def random(self, generator: torch.Generator) -> Permutation:
        """Return a permutation drawn uniformly."""
        return Permutation({g.name: drawn(g, generator) for g in self.groups}, self.within)

    def apply(self, permutation: Permutation, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the permuted parameters; see `Permutation` for the direction.

        Args:
            permutation: over exactly this symmetry's groups.
            params: every parameter that some group moves, under its name, an alias or both
                (all are moved alike); other names pass unchanged.

        Returns:
            A new mapping with the same names, dtypes and devices; nothing is mutated.

        Raises:
            SymmetryError: the permutation or a parameter does not fit this symmetry.
        """
        self.check_permutation(permutation)
        self._check_parameters(params)
        result = dict(params)
        for name, layout in self.layouts.items():
            axes = dict.fromkeys(one.occurrence.axis for one in layout.carried)
            held_as = self._names_of(name, params)
            views = {held: layout.view(result[held]) for held in held_as}
            for axis in axes:
                length = views[held_as[0]].shape[axis]
                index = axis_index(length, layout.along(axis), permutation)
                for held, view in views.items():
                    views[held] = view.index_select(axis, index.to(view.device))
            result |= {held: layout.restore(view) for held, view in views.items()}
        return result

    def check_permutation(self, permutation: Permutation) -> None:
        """Raise SymmetryError unless a permutation is over exactly these groups."""
        groups = {group.name: group for group in self.groups}
        if extra := sorted(set(permutation) - set(groups)):
            raise SymmetryError(f"the symmetry has no group named {', '.join(extra)}")
        if missing := sorted(set(groups) - set(permutation)):
            raise SymmetryError(f"the permutation lacks the groups {', '.join(missing)}")
        for name, group in groups.items():
            found = list(permutation[name].shape)
            if len(found) == 1 + group.nested and found[-1] != group.size:
                raise SymmetryError(
                    f"group {name} has {group.size} units, the permutation has {found[-1]}"
                )
            if found != ([group.copies] if group.nested else []) + [group.size]:
                wanted = f"{group.copies} rows of {group.size} units"
                raise SymmetryError(
                    f"group {name} has {wanted if group.nested else 'one row of units'}, the "
                    f"permutation has the shape {found}"
                )
        if dict(permutation.within) != self.within:
            raise SymmetryError("the permutation nests its groups in another way")

    def _names_of(self, name: str, params: Mapping[str, Tensor]) -> list[str]:
        """Return the names under which some parameters hold one that may be tied."""
        names = [name, *(alias for alias, own in self.aliases.items() if own == name)]
        return [held for held in names if held in params]

    def _check_parameters(self, params: Mapping[str, Tensor]) -> None:
        for name in self.layouts:
            names = self._names_of(name, params)
            if not names:
                raise SymmetryError(f"the parameter {name} is missing")
            expected = list(self.shapes[name])
            for held in names:
                if (found := list(params[held].shape)) != expected:
                    raise SymmetryError(
                        f"{held} has the shape {found}, the symmetry is for {expected}"
                    )


def _unmoved_in(layout: Layout) -> int:
    """Return how many entries of a parameter no group moves."""
    count = 1
    for axis, block in enumerate(layout.blocks):
        covered = torch.zeros(prod(block), dtype=torch.bool)
        for one in layout.along(axis):
            for start, stop in one.occurrence.stretches:
                covered[start:stop] = True
        count *= int((~covered).sum())
    return count


def unmoved(group: Group) -> Tensor:
    """Return the vector or matrix that leaves a group as it is."""
    vector = torch.arange(group.size)
    return vector.repeat(group.copies, 1) if group.nested else vector


def drawn(group: Group, generator: torch.Generator) -> Tensor:
    """Return a uniformly random vector, or matrix where the group is nested."""
    if not group.nested:
        return torch.randperm(group.size, generator=generator)
    rows = [torch.randperm(group.size, generator=generator) for _ in range(group.copies)]
    return torch.stack(rows)
