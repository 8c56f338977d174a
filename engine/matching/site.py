"""Sites: one occurrence of one group in one parameter, as matrices with a row per unit.

A group's cost is a sum over its sites of A·Bᵀ, where A and B are the parameter of a and of b
unfolded to (units × everything else). A site keeps both as arrays with the unit axis first
or last, whichever needs no copy or leaves whole rows to gather, so that one permuted column
of a neighbour costs as much as that column and no more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.symmetry import Carried, Perms, axis_index, units_of

FEW = 4
"""From so many entries on, rows are picked one by one faster than by an index on their axis."""


def is_identity(index: Tensor) -> bool:
    """Tell whether an index leaves everything in its place."""
    return torch.equal(index, torch.arange(len(index), device=index.device))


def picked(tensor: Tensor, axis: int, index: Tensor) -> Tensor:
    """Return a contiguous tensor's `index_select`, in a third of the time on inner axes."""
    inner = tensor.shape[axis + 1 :].numel()
    if axis == 0 or inner < FEW:
        return tensor.index_select(axis, index)
    before, length = tensor.shape[:axis], tensor.shape[axis]
    starts = torch.arange(before.numel(), device=index.device)[:, None] * length
    rows = tensor.reshape(-1, inner).index_select(0, (starts + index).flatten())
    return rows.reshape(*before, len(index), *tensor.shape[axis + 1 :])


class Site:
    """One occurrence of one group, with a's and b's matrices.

    Args:
        own: the occurrence.
        a: the parameter of a, in the working dtype.
        b: the parameter of b, likewise.
        others: every other occurrence that moves entries of this stretch.
    """

    def __init__(self, own: Carried, a: Tensor, b: Tensor, others: tuple[Carried, ...]) -> None:
        self.own = own
        self.units_first = own.occurrence.axis == 0 and own.occurrence.outer == 1
        self.lengths = tuple(a.shape)
        axes = sorted({o.occurrence.axis for o in others})
        self.others = {axis: tuple(o for o in others if o.occurrence.axis == axis) for axis in axes}
        self._b_natural = b
        self._a = self._form(a)
        self._b = self._form(b)

    @property
    def a(self) -> Tensor:
        """Return a's entries of this site."""
        return self._a

    @property
    def neighbours(self) -> frozenset[str]:
        """Return the names of the groups whose permutations change this site's cost."""
        return frozenset(o.group for carried in self.others.values() for o in carried)

    def add_cost(self, cost: Tensor, perms: Perms) -> None:
        """Add this site's A·π(B)ᵀ to a cost matrix, in place."""
        self._add_product(cost, self._a, self._shown(self._indices(perms)))

    def add_change(self, cost: Tensor, then: Perms, now: Perms) -> None:
        """Add what the cost gained while the neighbours went from `then` to `now`, in place.

        Axis by axis, only the places that changed are multiplied: the axes before it are
        taken as they are now, the axes after it as they were then.
        """
        current, after = self._indices(then), self._indices(now)
        for axis, new in after.items():
            old = current[axis]
            moved = torch.empty(0) if old is new else (old != new).nonzero().flatten()
            if not len(moved):
                continue
            if axis == self.own.occurrence.axis:
                shown = self._shown(current)
                current[axis] = new
                self._add_product(cost, self._a, self._shown(current) - shown)
                continue
            place = self._place(axis)
            b = self._shown({other: index for other, index in current.items() if other != axis})
            change = picked(b, place, new[moved])
            change -= picked(b, place, old[moved])
            whole = len(moved) == len(new)
            a = self._a if whole else picked(self._a, place, moved)
            self._add_product(cost, a, change)
            current[axis] = new

    def squares(self) -> Tensor:
        """Return the sum of squares of each unit's entries in a and in b, float64 [2, n]."""
        n = self.own.occurrence.size
        shape, rest = ((n, -1), 1) if self.units_first else ((-1, n), 0)
        forms = (self._a.reshape(shape), self._b.reshape(shape))
        return torch.stack([form.square().sum(rest).double() for form in forms])

    def _indices(self, perms: Perms) -> dict[int, Tensor]:
        """Return for each axis with other occurrences which places of b it shows."""
        return {
            axis: axis_index(self.lengths[axis], carried, perms)
            for axis, carried in self.others.items()
        }

    def _form(self, tensor: Tensor) -> Tensor:
        """View a parameter as [units, outer, inner, others…] or […, units], contiguous."""
        o = self.own.occurrence
        parts = units_of(tensor, o)
        return parts.movedim(o.axis + 1, 0 if self.units_first else -1).contiguous()

    def _place(self, axis: int) -> int:
        """Return where another axis of the parameter is in the form."""
        if axis < self.own.occurrence.axis:
            return axis
        return axis + (2 if self.units_first else 1)

    def _shown(self, indices: Mapping[int, Tensor]) -> Tensor:
        """Return b's form with the given axes permuted."""
        own = self.own.occurrence.axis
        form = self._b
        if own in indices:
            form = self._form(self._b_natural.index_select(own, indices[own]))
        for axis, index in indices.items():
            if axis != own and not is_identity(index):
                form = picked(form, self._place(axis), index)
        return form

    def _add_product(self, cost: Tensor, a: Tensor, b: Tensor) -> None:
        """Add the products of all pairs of units to the cost, in place."""
        n = self.own.occurrence.size
        if self.units_first:
            cost.addmm_(a.reshape(n, -1), b.reshape(n, -1).T)
        else:
            cost.addmm_(a.reshape(-1, n).T, b.reshape(-1, n))
