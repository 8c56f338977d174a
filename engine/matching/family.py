"""Nested groups are matched together with the units that they stand under.

For each pair of outer units (h of a, k of b) the nested groups are solved as if h were matched
with k; what they reach is what the pair is worth, and the outer units are assigned by that:
inner assignment problems per pair, then the outer one. Where the outer units are fixed, only
the pairs (h, h) are there. Where a parameter ties the orders of two nested groups (the weight
of a grouped convolution), they are improved in turn for the pairs that the outer assignment
asks for, until it asks for no other; this finds good orders, not always the best ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching import lap
from engine.matching.nested_site import NestedSite
from engine.matching.pairs import Orders, Pairs
from engine.symmetry import Perms

MOST_ROUNDS = 8
"""How often the outer assignment may ask for further pairs."""


class Family:
    """An outer group with the groups nested under it, or one group nested under fixed units.

    Args:
        head: its name: that of the outer group, or of the nested one.
        outer: the outer group, None where the outer units are fixed.
        sizes: nested group → number of units under each outer one.
        copies: number of outer units.
        sites: where they stand.
        epsilon: the relative error of a sum of products.
    """

    def __init__(
        self,
        head: str,
        outer: str | None,
        sizes: Mapping[str, int],
        copies: int,
        sites: Sequence[NestedSite],
        epsilon: float,
    ) -> None:
        self.head = head
        self.outer = outer
        self.sizes = sizes
        self.copies = copies
        self.sites = tuple(sites)
        device = sites[0].a[0].device if sites else torch.device("cpu")
        whole = torch.zeros(2, copies, dtype=torch.float64, device=device)
        units = {
            name: torch.zeros(2, copies, n, dtype=torch.float64, device=device)
            for name, n in sizes.items()
        }
        for site in self.sites:
            for part, *squares in site.norms():
                for side, square in enumerate(squares):
                    whole[side] += square.reshape(copies, -1).sum(1)
                    for place, name in enumerate(part.groups, start=1):
                        kept = (0, place)
                        gone = [d for d in range(square.dim()) if d not in kept]
                        units[name][side] += square.sum(gone) if gone else square
        self._whole = (epsilon * whole[0].sqrt(), whole[1].sqrt())
        self._units = {name: (epsilon * u[0].sqrt(), u[1].sqrt()) for name, u in units.items()}

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of all its groups."""
        return (*((self.outer,) if self.outer is not None else ()), *self.sizes)

    @property
    def neighbours(self) -> frozenset[str]:
        """Return the names of the groups whose permutations change what it finds."""
        return frozenset().union(*(site.neighbours for site in self.sites))

    def visit(
        self, perms: Perms, solver: lap.Solver, known: Collection[str] | None = None
    ) -> tuple[float, dict[str, Tensor], float]:
        """Return the gain, the groups that change, and the rounding that the gain may have.

        Args:
            perms: the permutations of all groups.
            solver: solves the assignment problems.
            known: if given, only the sites where no other groups than these count.

        Raises:
            MatchingError: a cost is not finite.
        """
        current = self._current(perms)
        sites = [s for s in self.sites if known is None or s.neighbours.issubset(known)]
        pairs = Pairs(sites, perms, self.sizes, self.copies, self.outer is not None, solver)
        if not pairs.finite:
            raise MatchingError(
                f"the matching cost of {self.head} is not finite: its weights are too large to "
                "be multiplied in this precision; bring both models in float64"
            )
        before = sum(
            pairs.value(h, k, {name: perms[name][h] for name in self.sizes})
            for h, k in enumerate(current)
        )
        chosen = self._assign(pairs, current, perms)
        orders = [pairs.orders(h, k) for h, k in enumerate(chosen)]
        after = sum(pairs.value(h, k, orders[h]) for h, k in enumerate(chosen))
        found = {name: torch.stack([own[name] for own in orders]) for name in self.sizes}
        if self.outer is not None:
            found[self.outer] = torch.tensor(chosen, device=perms[self.outer].device)
        changes = {n: p.to(perms[n].device) for n, p in found.items()}
        changes = {n: p for n, p in changes.items() if not torch.equal(p, perms[n])}
        a, b = self._whole
        tolerance = float((a * (b[current] + b[chosen])).sum())
        return after - before, changes, tolerance

    def _current(self, perms: Perms) -> list[int]:
        """Return which outer unit of b stands at each outer unit of a."""
        if self.outer is None:
            return list(range(self.copies))
        return perms[self.outer].tolist()

    def _assign(self, pairs: Pairs, current: list[int], perms: Perms) -> list[int]:
        """Return the outer assignment; `pairs` then holds the orders under it."""
        for h, k in enumerate(current):
            own = {name: perms[name][h] for name in self.sizes}
            pairs.start_from(h, k, own, self._tolerances(h, k))
        if self.outer is None:
            return current
        now = torch.tensor(current)
        a, b = (side.cpu() for side in self._whole)
        chosen = now
        for _ in range(MOST_ROUNDS):
            values = pairs.values()
            proposed = lap.solve(values, self.head, pairs.solver)
            chosen = lap.improve(values, now, proposed, a * (b[now] + b[proposed]))
            if not sum(pairs.refine(h, k) for h, k in enumerate(chosen.tolist())):
                break
        return chosen.tolist()

    def _tolerances(self, h: int, k: int) -> Orders:
        """Return for each nested group the rounding of its units, a's [n] by b's [n]."""
        return {name: torch.outer(a[h], b[k]).cpu() for name, (a, b) in self._units.items()}
