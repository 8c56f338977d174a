"""All pairs of outer units, and the best orders found for the nested units of each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.matching import lap
from engine.matching.nested_site import NestedSite, Part
from engine.symmetry import Perms

MOST_TURNS = 20
"""How often the nested groups of one pair are improved in turn."""

Orders = dict[str, Tensor]
"""Nested group → the order of its units under one pair of outer units, int64 [n]."""

Array = np.ndarray


class Pairs:
    """What the nested units bring under each pair (h of a, k of b), all other groups fixed.

    Args:
        sites: where the outer and nested units stand.
        perms: the permutations of all other groups.
        sizes: nested group → units.
        copies: number of outer units.
        free: whether every h may meet every k; else h meets h alone.
        solver: solves the assignment problems.
    """

    def __init__(
        self,
        sites: Sequence[NestedSite],
        perms: Perms,
        sizes: Mapping[str, int],
        copies: int,
        free: bool,
        solver: lap.Solver,
    ) -> None:
        self.solver = solver
        self.sizes = sizes
        self._free = free
        width = copies if free else 1
        self._outer = np.zeros((copies, width))
        self._linear = {
            name: np.zeros((copies, width, n, n), dtype=_dtype(sites)) for name, n in sizes.items()
        }
        self._tied: list[tuple[Part, Array, Array]] = []
        for site in sites:
            for part, a, b in zip(site.parts, site.a, site.b(perms), strict=True):
                self._add(part, a, b)
        self._orders: dict[tuple[int, int], dict[str, Array]] = {}
        self._values: dict[tuple[int, int], float] = {}
        self._refined: set[tuple[int, int]] = set()
        self.copies = copies

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        arrays = [self._outer, *self._linear.values(), *(x for t in self._tied for x in t[1:])]
        return all(bool(np.isfinite(array).all()) for array in arrays)

    def value(self, h: int, k: int, orders: Mapping[str, Tensor | Array]) -> float:
        """Return what a pair is worth with these orders of its nested units."""
        own = {name: np.asarray(order) for name, order in orders.items()}
        column = k if self._free else 0
        total = float(self._outer[h, column])
        for name, order in own.items():
            cost = self._linear[name][h, column]
            total += float(cost[np.arange(len(order)), order].sum(dtype=np.float64))
        for part, a, b in self._tied:
            shown = b[k]
            for axis, name in enumerate(part.groups):
                shown = shown.take(own[name], axis)
            total += float((a[h] * shown).sum(dtype=np.float64))
        return total

    def orders(self, h: int, k: int) -> Orders:
        """Return the best orders known of a pair."""
        return {name: torch.from_numpy(order) for name, order in self._first(h, k).items()}

    def values(self) -> Tensor:
        """Return what every pair is worth under the best orders known, float64 [h, k]."""
        found = [[self._worth(h, k) for k in range(self.copies)] for h in range(self.copies)]
        return torch.tensor(found, dtype=torch.float64)

    def start_from(self, h: int, k: int, orders: Orders, tolerances: Orders) -> None:
        """Take a pair's orders of now, and change only what gains beyond rounding."""
        current = {name: order.cpu().numpy() for name, order in orders.items()}
        kept = self._improved(h, k, current, tolerances)
        fresh = self._improved(h, k, self._fresh(h, k)) if self._tied else kept
        slack = sum(float(t.diagonal().sum()) for t in tolerances.values())
        better = self.value(h, k, fresh) > self.value(h, k, kept) + slack
        self._keep(h, k, fresh if better else kept)
        self._refined.add((h, k))

    def refine(self, h: int, k: int) -> bool:
        """Improve a pair's orders, if that was not done yet; return whether they changed."""
        if not self._tied or (h, k) in self._refined:
            return False
        self._refined.add((h, k))
        before = self._worth(h, k)
        self._keep(h, k, self._improved(h, k, self._first(h, k)))
        return self._values[h, k] > before

    # --- building ----------------------------------------------------------------------

    def _add(self, part: Part, a: Tensor, b: Tensor) -> None:
        copies = a.shape[0]
        if len(part.groups) > 1:
            self._tied.append((part, a.cpu().numpy(), b.cpu().numpy()))
            return
        n = part.shape[1] if part.groups else 1
        if self._free:
            products = a.reshape(copies * n, -1) @ b.reshape(copies * n, -1).T
            found = products.view(copies, n, copies, n).transpose(1, 2)
        else:
            found = torch.bmm(a.reshape(copies, n, -1), b.reshape(copies, n, -1).mT)[:, None]
        array = found.cpu().numpy()
        if part.groups:
            self._linear[part.groups[0]] += array
        else:
            self._outer += array[:, :, 0, 0]

    # --- one pair ----------------------------------------------------------------------

    def _worth(self, h: int, k: int) -> float:
        self._first(h, k)
        return self._values[h, k]

    def _first(self, h: int, k: int) -> dict[str, Array]:
        """Return the orders known of a pair; at first those that the untied parts ask for."""
        if (h, k) not in self._orders:
            self._keep(h, k, self._fresh(h, k))
        return self._orders[h, k]

    def _keep(self, h: int, k: int, orders: dict[str, Array]) -> None:
        self._orders[h, k] = orders
        self._values[h, k] = self.value(h, k, orders)

    def _fresh(self, h: int, k: int) -> dict[str, Array]:
        column = k if self._free else 0
        return {name: self.solver(cost[h, column]) for name, cost in self._linear.items()}

    def _improved(
        self,
        h: int,
        k: int,
        orders: Mapping[str, Array],
        tolerances: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Array]:
        """Return the orders with each group improved in turn while the others stay."""
        best = dict(orders)
        value = self.value(h, k, best)
        for _ in range(MOST_TURNS):
            gained = False
            for name in self.sizes:
                order = self._solved(h, k, name, best, tolerances)
                if order is best[name]:
                    continue
                changed = {**best, name: order}
                if (reached := self.value(h, k, changed)) > value:
                    best, value, gained = changed, reached, True
            if not gained or not self._tied:
                break
        return best

    def _solved(
        self,
        h: int,
        k: int,
        name: str,
        orders: Mapping[str, Array],
        tolerances: Mapping[str, Tensor] | None,
    ) -> Array:
        """Return one group's order, the others' fixed; its own array where nothing gains."""
        cost, current = self._cost(h, k, name, orders), orders[name]
        proposed = self.solver(cost)
        if tolerances is None:
            return current if np.array_equal(proposed, current) else proposed
        now, then = torch.from_numpy(current), torch.from_numpy(proposed)
        rows = torch.arange(len(now))
        slack = tolerances[name][rows, now] + tolerances[name][rows, then]
        better = lap.improve(torch.from_numpy(cost), now, then, slack)
        return current if better is now else better.numpy()

    def _cost(self, h: int, k: int, name: str, orders: Mapping[str, Array]) -> Array:
        cost = self._linear[name][h, k if self._free else 0]
        for part, a, b in self._tied:
            for place, own in enumerate(part.groups):
                if own != name:
                    continue
                shown = b[k]
                for axis, other in enumerate(part.groups):
                    if axis != place:
                        shown = shown.take(orders[other], axis)
                n = len(orders[name])
                rows = (np.moveaxis(x, place, 0).reshape(n, -1) for x in (a[h], shown))
                cost = cost + next(rows) @ next(rows).T
        return cost


def _dtype(sites: Sequence[NestedSite]) -> np.dtype:
    double = any(a.dtype == torch.float64 for site in sites for a in site.a)
    return np.dtype(np.float64 if double else np.float32)
