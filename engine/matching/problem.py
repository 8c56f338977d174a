"""The matching problem that every method shares: a, b, the sites of each group, the objective.

For a group g and all other permutations fixed, the objective ⟨a, π(b)⟩ is Σ_i C[i, p_g[i]]
with C = Σ over g's sites of A·Bᵀ, all other permutations applied to b (Ainsworth et al. 2022,
arXiv 2209.04836, section 3.2). Where one parameter carries g on two axes the objective is
quadratic in p_g; its cost then uses the current p_g on the other axis, as the authors' code
does, and only `objective` tells whether a solution is better.

Running statistics are left out by the caller's `exclude`; integer tensors never enter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError, NonFiniteError
from engine.matching.site import Carried, Perms, Site, axis_index, is_identity

if TYPE_CHECKING:
    from engine.symmetry import Symmetry

MOST_NAMES_SHOWN = 6


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
        self.sizes = MappingProxyType({group.name: group.size for group in symmetry.groups})
        carried: dict[str, list[Carried]] = {}
        for group in symmetry.groups:
            for occurrence in group.occurrences:
                carried.setdefault(occurrence.parameter, []).append(Carried(group.name, occurrence))
        check_fit(symmetry, carried, a, b)
        self.carried = MappingProxyType(
            {
                name: tuple(ones)
                for name, ones in carried.items()
                if name not in exclude and a[name].is_floating_point()
            }
        )
        tensors = [model[name] for model in (a, b) for name in self.carried]
        double = any(t.dtype == torch.float64 for t in tensors)
        self.dtype = torch.float64 if double else torch.float32
        self._a = {name: self._working(a[name]) for name in self.carried}
        self._b = {name: self._working(b[name]) for name in self.carried}
        check_finite("a", self._a)
        check_finite("b", self._b)
        self.sites = MappingProxyType({name: self._sites_of(name) for name in self.sizes})
        self.neighbours = MappingProxyType(
            {
                name: frozenset().union(*(site.neighbours for site in sites))
                for name, sites in self.sites.items()
            }
        )

    def identity(self) -> dict[str, Tensor]:
        """Return the permutation of each group that leaves b as it is."""
        return {name: torch.arange(n, device=self.device) for name, n in self.sizes.items()}

    def random(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return a uniformly random permutation of each group."""
        return {
            name: torch.randperm(n, generator=generator).to(self.device)
            for name, n in self.sizes.items()
        }

    def cost(self, group: str, perms: Perms) -> Tensor:
        """Return C with C[i, j] = what unit j of b brings in the place of unit i of a.

        Args:
            group: the group to be matched.
            perms: the permutations of all groups; that of `group` itself counts only where
                a parameter carries it on two axes.

        Returns:
            [n, n] in the working dtype.
        """
        n = self.sizes[group]
        cost = torch.zeros(n, n, dtype=self.dtype, device=self.device)
        for site in self.sites[group]:
            site.add_cost(cost, perms)
        return cost

    def change(self, cost: Tensor, group: str, then: Perms, now: Perms) -> None:
        """Bring a cost made with the permutations `then` up to those of `now`, in place."""
        for site in self.sites[group]:
            site.add_change(cost, then, now)

    def norms(self, group: str) -> tuple[Tensor, Tensor]:
        """Return the length of each unit's weights in a and in b, two float64 [n]."""
        squares = torch.zeros(2, self.sizes[group], dtype=torch.float64, device=self.device)
        for site in self.sites[group]:
            squares += site.squares()
        lengths = squares.sqrt()
        return lengths[0], lengths[1]

    def objective(self, perms: Perms, group: str | None = None) -> float:
        """Return ⟨a, π(b)⟩ over the parameters that some group moves, summed in float64.

        Args:
            perms: the permutations of all groups.
            group: if given, only the parameters that carry this group.
        """
        total = 0.0
        for name, carried in self.carried.items():
            if group is None or any(one.group == group for one in carried):
                product = self._a[name] * self._permuted(name, perms)
                total += float(product.sum(dtype=torch.float64))
        return total

    def _permuted(self, name: str, perms: Perms) -> Tensor:
        tensor = self._b[name]
        for axis in range(tensor.ndim):
            on_axis = tuple(c for c in self.carried[name] if c.occurrence.axis == axis)
            if on_axis:
                index = axis_index(tensor.shape[axis], on_axis, perms)
                if not is_identity(index):
                    tensor = tensor.index_select(axis, index)
        return tensor

    def _working(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(device=self.device, dtype=self.dtype).contiguous()

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
