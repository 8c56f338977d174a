"""b under doubly stochastic matrices in place of permutations: what gradients can move.

Where unit i of the permuted model is unit p[i] of b, it may as well be a mixture Σ_j P[i, j] of
b's units with the rows and columns of P summing to one; permutations are the corners. Every
parameter is then multilinear in the matrices, one factor per occurrence, and so is ⟨a, P(b)⟩
(Crisostomi et al. 2024, arXiv 2405.17897; Peña et al. 2023, arXiv 2212.12042). A nested group has
a matrix per unit that it stands under, applied to what the outer group's matrix has mixed; at
the corners this is the permutation of the symmetry, so nested groups need no projection of
their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching import lap
from engine.matching.problem import Problem
from engine.symmetry import Carried, Occurrence, units_of, with_units
from engine.symmetry.layout import OUTSIDE, copies_in

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

MOST_BYTES = 16 << 30

MATRICES = 10
"""As many matrices of a group are held at once: values, slopes, two moments, the operator's."""

Matrices = Mapping[str, Tensor]
"""Group → doubly stochastic [n, n], or [copies, n, n] where it is nested."""


class Relaxation:
    """A problem whose permutations are relaxed to doubly stochastic matrices.

    Args:
        problem: the groups, and where they stand in which parameters.
        a: reference parameters by name.
        b: parameters to be permuted.
    """

    def __init__(self, problem: Problem, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
        self.problem = problem
        self.names = tuple(problem.carried)
        self._a = {name: self._viewed(name, a[name]) for name in self.names}
        self._b = {name: self._viewed(name, b[name]) for name in self.names}
        self.degree = max(map(_factors, problem.carried.values()), default=0)
        """At most so many matrices are multiplied in any parameter."""

    def corner(self, perms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the matrices of permutations."""
        return {
            name: torch.nn.functional.one_hot(p, p.shape[-1]).to(self.problem.dtype)
            for name, p in perms.items()
        }

    def centre(self) -> dict[str, Tensor]:
        """Return the matrices that mix all units alike."""
        return {
            name: torch.full((*p.shape, p.shape[-1]), 1 / p.shape[-1]).to(
                self.problem.device, self.problem.dtype
            )
            for name, p in self.problem.identity().items()
        }

    def nearest(self, matrices: Matrices, solver: lap.Solver = lap.fastest) -> dict[str, Tensor]:
        """Return the permutations p with the largest Σ M[i, p[i]]; the M may be any matrices.

        Raises:
            MatchingError: a matrix is not finite.
        """
        found = {}
        for name, matrix in matrices.items():
            n = matrix.shape[-1]
            rows = [lap.solve(m, name, solver) for m in matrix.reshape(-1, n, n)]
            found[name] = torch.stack(rows).view(matrix.shape[:-1])
        return found

    def mixed(self, name: str, matrices: Matrices) -> Tensor:
        """Return a parameter of b under the matrices, in its layout."""
        tensor = self._b[name]
        for one in self.problem.carried[name]:
            tensor = _applied(tensor, one.occurrence, matrices[one.group])
        return tensor

    def restored(self, matrices: Matrices) -> dict[str, Tensor]:
        """Return every parameter that some group moves, under the matrices, in its own shape."""
        layouts = self.problem.layouts
        return {name: layouts[name].restore(self.mixed(name, matrices)) for name in self.names}

    def value(self, matrices: Matrices) -> float:
        """Return ⟨a, P(b)⟩, summed in float64."""
        with torch.no_grad():
            return sum(float(self._product(name, matrices)) for name in self.names)

    def slopes(
        self, matrices: Matrices, term: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> tuple[float, dict[str, Tensor]]:
        """Return a sum over the parameters and its derivative by every matrix.

        Args:
            matrices: where.
            term: of a parameter of a and the mixed one of b; None for their inner product.
        """
        leaves = {name: m.detach().requires_grad_() for name, m in matrices.items()}
        found = {name: torch.zeros_like(m) for name, m in matrices.items()}
        total = 0.0
        for name in self.names:  # one at a time, so that only its own steps are kept
            own = {one.group: leaves[one.group] for one in self.problem.carried[name]}
            with torch.enable_grad():
                mixed = self.mixed(name, leaves)
                value = inner(self._a[name], mixed) if term is None else term(self._a[name], mixed)
            for group, slope in zip(
                own, torch.autograd.grad(value, list(own.values())), strict=True
            ):
                found[group] += slope
            total += float(value.detach())
        return total, found

    def _product(self, name: str, matrices: Matrices) -> Tensor:
        return inner(self._a[name], self.mixed(name, matrices))

    def _viewed(self, name: str, tensor: Tensor) -> Tensor:
        working = tensor.detach().to(self.problem.device, self.problem.dtype)
        return self.problem.layouts[name].view(working)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ a·b, summed in float64."""
    return (a * b).sum(dtype=torch.float64)


def _applied(tensor: Tensor, place: Occurrence, matrix: Tensor) -> Tensor:
    """Return a parameter with the units of one stretch mixed."""
    o, axis = place, place.axis
    parts = units_of(tensor, o)
    if o.under is None:
        units = parts.movedim(axis + 1, 0)
        mixed = (matrix @ units.flatten(1)).view(units.shape).movedim(0, axis + 1)
    else:
        mixed = _applied_by_copy(parts, o, matrix)
    return with_units(tensor, o, mixed)


def _applied_by_copy(parts: Tensor, place: Occurrence, matrices: Tensor) -> Tensor:
    """Return a stretch [… outer, units, inner …] with each copy's units mixed by its own matrix."""
    axis = place.axis
    rows = parts.movedim((axis, axis + 2, axis + 1), (0, 1, 2))
    cells = rows.reshape(place.outer * place.inner, place.size, -1)
    copies = copies_in(place).flatten().to(cells.device)
    order = copies.argsort(stable=True)
    outside = int((copies == OUTSIDE).sum())
    inside = cells.index_select(0, order[outside:]).unflatten(0, (len(matrices), -1))
    mixed = torch.einsum("cij,ctjr->ctir", matrices, inside).flatten(0, 1)
    whole = torch.cat((cells.index_select(0, order[:outside]), mixed))
    back = whole.index_select(0, order.argsort()).reshape(rows.shape)
    return back.movedim((0, 1, 2), (axis, axis + 2, axis + 1))


def _factors(carried: tuple[Carried, ...]) -> int:
    """Return how many of a parameter's matrices are multiplied in one entry, at most."""
    total = 0
    for axis in {one.occurrence.axis for one in carried}:
        here = [one.occurrence for one in carried if one.occurrence.axis == axis]
        total += max(sum(o.start <= one.start < o.stop for o in here) for one in here)
    return total


def check_relaxation(program: Program, symmetry: Symmetry, settings: Mapping[str, object]) -> None:
    """Raise MatchingError if matrices in place of permutations would not fit in memory."""
    del program, settings
    needed = sum(MATRICES * 8 * group.copies * group.size**2 for group in symmetry.groups)
    if needed > MOST_BYTES:
        raise MatchingError(
            f"matrices in place of the permutations would take {needed / 2**30:.1f} GiB, more "
            f"than {MOST_BYTES >> 30} GiB; match the weights, which keeps the permutations"
        )
