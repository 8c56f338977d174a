"""The matching problem that every method shares: a, b, the sites of each group, the objective.

For a group g and all other permutations fixed, the objective ⟨a, π(b)⟩ is Σ_i C[i, p_g[i]]
with C = Σ over g's sites of A·Bᵀ, all other permutations applied to b (Ainsworth et al. 2022,
arXiv 2209.04836, section 3.2). Where one parameter carries g on two axes the objective is
quadratic in p_g; its cost then uses the current p_g on the other axis, as the authors' code
does, and only `objective` tells whether a solution is better.

A group with others nested under it is solved together with them (`family.py`): the groups
fall into blocks, one per group that stands alone and one per family.

Running statistics are left out by the caller's `exclude`; integer tensors never enter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError, NonFiniteError
from engine.matching.family import Family
from engine.matching.nested_site import NestedSite
from engine.matching.site import Site, is_identity, picked
from engine.symmetry import Group, Perms, axis_index, drawn, unmoved

if TYPE_CHECKING:
    from engine.symmetry import Symmetry

MOST_NAMES_SHOWN = 6

# An entry of a cost matrix is a sum of products; its rounding error is a few units in the
# last place of ‖a_i‖·‖b_j‖. Gains below this many of them are not believed.
ROUNDING_UNITS = 8.0


class Problem:
    """Two parameter sets, the groups that permute b, and what each permutation is worth.

    Args:
        symmetry: the groups and their occurrences.
        a: reference parameters by name; further names are ignored.
        b: parameters to be permuted.
        exclude: names that do not enter the objective (running statistics).
        device: where the products run; permutations and results stay on the CPU.

    Raises:
        MatchingError: a tensor is missing or has another shape than the symmetry says.
        NonFiniteError: a tensor holds NaN or infinite values.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        a: Mapping[str, Tensor],
        b: Mapping[str, Tensor],
        *,
        exclude: Collection[str] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.groups = MappingProxyType({group.name: group for group in symmetry.groups})
        self.sizes = MappingProxyType({group.name: group.size for group in symmetry.groups})
        self.blocks = MappingProxyType(_blocks(symmetry.groups))
        """Head → the groups solved together; the head is the outer or the only one."""
        self.layouts = symmetry.layouts
        check_fit(symmetry, self.layouts, a, b)
        self.carried = MappingProxyType(
            {
                name: layout.carried
                for name, layout in self.layouts.items()
                if name not in exclude and a[name].is_floating_point() and a[name].numel()
            }
        )
        tensors = [model[name] for model in (a, b) for name in self.carried]
        double = any(t.dtype == torch.float64 for t in tensors)
        self.dtype = torch.float64 if double else torch.float32
        self.epsilon = ROUNDING_UNITS * torch.finfo(self.dtype).eps
        self._a = {name: self._working(name, a[name]) for name in self.carried}
        self._b = {name: self._working(name, b[name]) for name in self.carried}
        check_finite("a", self._a)
        check_finite("b", self._b)
        alone = [head for head, groups in self.blocks.items() if self._is_alone(head, groups)]
        self.sites = MappingProxyType({name: self._sites_of(name) for name in alone})
        self.families = MappingProxyType(
            {
                head: self._family_of(head, groups)
                for head, groups in self.blocks.items()
                if head not in self.sites
            }
        )
        self.neighbours = MappingProxyType(self._neighbours())

    def identity(self) -> dict[str, Tensor]:
        """Return the permutation of each group that leaves b as it is."""
        return {name: unmoved(group).to(self.device) for name, group in self.groups.items()}

    @cached_property
    def at_identity(self) -> float:
        """Return the objective of the identity."""
        return self.objective(self.identity())

    def random(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return a uniformly random permutation of each group."""
        return {name: drawn(g, generator).to(self.device) for name, g in self.groups.items()}

    def cost(self, group: str, perms: Perms, known: Collection[str] | None = None) -> Tensor:
        """Return C with C[i, j] = what unit j of b brings in the place of unit i of a.

        Args:
            group: the group to be matched.
            perms: the permutations of all groups; that of `group` itself counts only where
                a parameter carries it on two axes.
            known: if given, only the sites where no other groups than these count.

        Returns:
            [n, n] in the working dtype.
        """
        cost = self.no_cost(group)
        for site in self.sites[group]:
            if known is None or site.neighbours.issubset(known):
                site.add_cost(cost, perms)
        return cost

    def no_cost(self, group: str) -> Tensor:
        """Return the zero [n, n] that the costs of a group's sites are added to."""
        n = self.sizes[group]
        return torch.zeros(n, n, dtype=self.dtype, device=self.device)

    def norms(self, group: str) -> tuple[Tensor, Tensor]:
        """Return the length of each unit's weights in a and in b, two float64 [n]."""
        squares = torch.zeros(2, self.sizes[group], dtype=torch.float64, device=self.device)
        for site in self.sites[group]:
            squares += site.squares()
        lengths = squares.sqrt()
        return lengths[0], lengths[1]

    def objective(self, perms: Perms, *groups: str) -> float:
        """Return ⟨a, π(b)⟩ over the parameters that some group moves.

        Rows are summed in the working precision, pairwise, and their sums in float64.

        Args:
            perms: the permutations of all groups.
            groups: if given, only the parameters that carry one of these.
        """
        total = 0.0
        for name, carried in self.carried.items():
            if not groups or any(one.group in groups for one in carried):
                product = self._a[name] * self._permuted(name, perms)
                summed = product[..., None].flatten(1).sum(1).sum(dtype=torch.float64)
                if not summed.isfinite():  # rows of large weights
                    summed = product.sum(dtype=torch.float64)
                total += float(summed)
        return total

    def _permuted(self, name: str, perms: Perms) -> Tensor:
        tensor = self._b[name]
        for axis in range(tensor.ndim):
            on_axis = tuple(c for c in self.carried[name] if c.occurrence.axis == axis)
            if on_axis:
                index = axis_index(tensor.shape[axis], on_axis, perms)
                if not is_identity(index):
                    tensor = picked(tensor, axis, index)
        return tensor

    def _working(self, name: str, tensor: Tensor) -> Tensor:
        working = tensor.detach().to(device=self.device, dtype=self.dtype)
        return self.layouts[name].view(working).contiguous()

    def _is_alone(self, head: str, groups: tuple[str, ...]) -> bool:
        return len(groups) == 1 and not self.groups[head].nested

    def _sites_of(self, group: str) -> tuple[Site, ...]:
        return tuple(
            Site(
                one,
                self._a[name],
                self._b[name],
                tuple(
                    other
                    for other in carried
                    if other is not one
                    and (other.occurrence.axis != one.occurrence.axis or one.overlaps(other))
                ),
            )
            for name, carried in self.carried.items()
            for one in carried
            if one.group == group
        )

    def _family_of(self, head: str, groups: tuple[str, ...]) -> Family:
        nested = {name: self.groups[name].size for name in groups if self.groups[name].nested}
        outer = None if self.groups[head].nested else head
        copies = max(self.groups[name].copies for name in nested)
        sites = []
        for name, carried in self.carried.items():
            inside = [one for one in carried if one.group in nested]
            outers = [one for one in carried if one.group == outer]
            unders = [one.occurrence for one in outers] or [o.occurrence.under for o in inside]
            for under in dict.fromkeys(unders):
                assert under is not None
                here = [one for one in inside if one.occurrence.under == under]
                own = [*here, *(one for one in outers if one.occurrence == under)]
                tensors = (self._a[name], self._b[name])
                sites.append(NestedSite(under, here, carried, own, *tensors))
        return Family(head, outer, nested, copies, sites, self.epsilon)

    def _neighbours(self) -> dict[str, frozenset[str]]:
        """Return head → the heads of the blocks whose cost it changes, possibly itself."""
        head_of = {name: head for head, groups in self.blocks.items() for name in groups}
        found: dict[str, frozenset[str]] = {}
        for head in self.blocks:
            alone = self.sites.get(head)
            near = [site.neighbours for site in alone] if alone is not None else []
            near += [self.families[head].neighbours] if alone is None else []
            found[head] = frozenset(head_of[name] for names in near for name in names)
        return found


def _blocks(groups: Collection[Group]) -> dict[str, tuple[str, ...]]:
    """Return head → groups: each group alone, or with those that are nested within it."""
    heads = [group.name for group in groups if group.within is None]
    return {
        head: (head, *(group.name for group in groups if group.within == head)) for head in heads
    }


def check_fit(
    symmetry: Symmetry,
    names: Collection[str],
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
) -> None:
    """Raise MatchingError naming the tensors that are missing or mis-shaped in a or b."""
    for model, tensors in (("a", a), ("b", b)):
        missing = [name for name in names if name not in tensors]
        if missing:
            raise MatchingError(f"{model} lacks tensors of the model: {_some(missing)}")
        wrong = [
            f"{name} is {list(tensors[name].shape)}, not {list(symmetry.shapes[name])}"
            for name in names
            if tuple(tensors[name].shape) != tuple(symmetry.shapes[name])
        ]
        if wrong:
            raise MatchingError(f"{model} does not fit the model: {_some(wrong)}")


def check_finite(model: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise NonFiniteError naming the tensors with NaN or infinite values and how many.

    The sum of a tensor is finite only if all its values are (or it overflows, which the
    second, slower look sorts out).
    """
    suspects = [name for name, t in tensors.items() if not bool(t.sum().isfinite())]
    counts = {name: int((~tensors[name].isfinite()).sum()) for name in suspects}
    bad = [
        f"{name} ({count} of {tensors[name].numel()})" for name, count in counts.items() if count
    ]
    if bad:
        raise NonFiniteError(f"{model} holds NaN or infinite values in {_some(bad)}")


def _some(texts: list[str]) -> str:
    shown = ", ".join(texts[:MOST_NAMES_SHOWN])
    more = len(texts) - MOST_NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
