"""The permutation symmetry of one architecture: its groups, and how they act on parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import lgamma, log, prod

import torch
from torch import Tensor

from engine.errors import SymmetryError
from engine.symmetry.groups import Group, Occurrence
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
        """log10 of the number of permutations: Σ log10(n!) over the groups."""
        return sum(lgamma(group.size + 1) for group in self.groups) / log(10)

    @cached_property
    def moved_parameters(self) -> int:
        """The number of trainable scalars that some permutation moves."""
        return sum(
            prod(shape) - prod(self._unmoved(name, axis) for axis in range(len(shape)))
            for name, shape in self.shapes.items()
            if name in self.trainable
        )

    @cached_property
    def total_parameters(self) -> int:
        """The number of trainable scalars."""
        return sum(prod(shape) for name, shape in self.shapes.items() if name in self.trainable)

    def identity(self) -> Permutation:
        """Return the permutation that moves nothing."""
        return Permutation({group.name: torch.arange(group.size) for group in self.groups})

    def random(self, generator: torch.Generator) -> Permutation:
        """Return a permutation drawn uniformly."""
        return Permutation(
            {group.name: torch.randperm(group.size, generator=generator) for group in self.groups}
        )

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
        for (name, axis), actions in self._actions.items():
            index = torch.arange(self.shapes[name][axis])
            for group, occurrence in actions:
                _permute_stretch(index, occurrence, permutation[group])
            for held in self._names_of(name, params):
                result[held] = result[held].index_select(axis, index.to(result[held].device))
        return result

    def check_permutation(self, permutation: Permutation) -> None:
        """Raise SymmetryError unless a permutation is over exactly these groups."""
        sizes = {group.name: group.size for group in self.groups}
        if extra := sorted(set(permutation) - set(sizes)):
            raise SymmetryError(f"the symmetry has no group named {', '.join(extra)}")
        if missing := sorted(set(sizes) - set(permutation)):
            raise SymmetryError(f"the permutation lacks the groups {', '.join(missing)}")
        for name, size in sizes.items():
            if (found := len(permutation[name])) != size:
                raise SymmetryError(f"group {name} has {size} units, the permutation has {found}")

    @cached_property
    def _actions(self) -> dict[tuple[str, int], list[tuple[str, Occurrence]]]:
        """(parameter, axis) → what permutes it, as (group name, occurrence)."""
        actions: dict[tuple[str, int], list[tuple[str, Occurrence]]] = {}
        for group in self.groups:
            for occurrence in group.occurrences:
                key = (occurrence.parameter, occurrence.axis)
                actions.setdefault(key, []).append((group.name, occurrence))
        return actions

    def _names_of(self, name: str, params: Mapping[str, Tensor]) -> list[str]:
        """Return the names under which some parameters hold one that may be tied."""
        names = [name, *(alias for alias, own in self.aliases.items() if own == name)]
        return [held for held in names if held in params]

    def _check_parameters(self, params: Mapping[str, Tensor]) -> None:
        for name in dict.fromkeys(name for name, _ in self._actions):
            names = self._names_of(name, params)
            if not names:
                raise SymmetryError(f"the parameter {name} is missing")
            expected = list(self.shapes[name])
            for held in names:
                if (found := list(params[held].shape)) != expected:
                    raise SymmetryError(
                        f"{held} has the shape {found}, the symmetry is for {expected}"
                    )

    def _unmoved(self, name: str, axis: int) -> int:
        covered = torch.zeros(self.shapes[name][axis], dtype=torch.bool)
        for _, occurrence in self._actions.get((name, axis), ()):
            covered[occurrence.start : occurrence.stop] = True
        return int((~covered).sum())


def _permute_stretch(index: Tensor, occurrence: Occurrence, p: Tensor) -> None:
    """Permute one stretch of an index vector in place.

    Groups on one axis act on different factors or stretches, so that their order is free.
    """
    o = occurrence
    stretch = index[o.start : o.stop].view(o.outer, o.size, o.inner)
    stretch.copy_(stretch[:, p].clone())
