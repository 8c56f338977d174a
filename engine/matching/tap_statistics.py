"""How alike the units of two networks behave, summed over data that streams through both.

For each tap (`engine.symmetry.taps`) every unit of a is set against every unit of b over all
samples and positions: batch × space for convolutions, batch × length for tokens. The products
run in the models' precision over pieces of the data and are added up in float64; no batch's
values outlive it. Git Re-Basin (arXiv 2209.04836, section 3.1) takes the inner products Z_A Z_Bᵀ
of the activations, Li et al. 2016 (arXiv 1511.07543) their Pearson correlation.

Both are given on a scale of their own, so that several taps of a group can be added: inner
products divided by the lengths of all of Z_A and Z_B, correlations by the number of units. A
perfect match has the value 1. Units that do not vary have correlation 0 with all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.program import Program
from engine.symmetry import Occurrence
from engine.symmetry.layout import OUTSIDE, copies_in
from engine.symmetry.occurrence import units_of, with_units
from engine.symmetry.taps import FROM_BATCH, Tap

Statistic = Literal["inner_product", "correlation"]
STATISTICS: tuple[Statistic, ...] = ("inner_product", "correlation")

MOST_COLUMNS = 1 << 14
"""Products of at most so many columns are summed in the models' own precision."""

CONSTANT_UNITS = 8.0
"""A unit that varies by less than this many units in the last place of its size is constant."""

Models = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


def unfolded(value: Tensor, tap: Tap) -> Tensor:
    """Return a tapped value as [units, everything else]; nested units as [outer, units, …].

    Groups that stand across the tap's own are made not to matter: their units are sorted by
    value, which no permutation of them changes.
    """
    for across in tap.beside:
        value = _sorted_along(value, across)
    own = tap.place
    if own.under is None:
        return _divided(value, own).movedim(own.axis + 1, 0).reshape(own.size, -1)
    if own.under.axis != own.axis:
        first, second = sorted((own, own.under), key=lambda o: -o.axis)
        divided = _divided(_divided(value, first), second)
        axes = (o.axis + 1 + 2 * (o.axis > second.axis) for o in (own.under, own))
        return divided.movedim(tuple(axes), (0, 1)).reshape(own.under.size, own.size, -1)
    index = _places_by_copy(own).to(value.device)
    shown = value.index_select(own.axis, index.flatten()).unflatten(own.axis, index.shape)
    shown = shown.movedim((own.axis, own.axis + 1), (0, 1))
    return shown.reshape(own.under.size, own.size, -1)


def _divided(value: Tensor, place: Occurrence) -> Tensor:
    """Return the place's stretch with its axis divided into (outer, units, inner)."""
    if place.outer == FROM_BATCH:
        return value.unflatten(place.axis, (-1, place.size, place.inner))
    return units_of(value, place)


def _sorted_along(value: Tensor, place: Occurrence) -> Tensor:
    order = _divided(value, place).sort(dim=place.axis + 1).values
    if place.outer == FROM_BATCH:
        return order.flatten(place.axis, place.axis + 2)
    return with_units(value, place, order)


def _places_by_copy(place: Occurrence) -> Tensor:
    """Return where on the axis each nested unit stands under each outer one.

    Returns:
        int64 [outer units, units, times].
    """
    assert place.under is not None
    copies = copies_in(place).flatten()
    order = copies.argsort(stable=True)[int((copies == OUTSIDE).sum()) :]
    units = torch.arange(place.start, place.stop).view(place.outer, place.size, place.inner)
    by_unit = units.movedim(1, 0).reshape(place.size, -1)[:, order]
    return by_unit.reshape(place.size, place.under.size, -1).movedim(1, 0)


@dataclass
class Sums:
    """Sums over the data of one tap, brought forward batch by batch; float64.

    Attributes:
        paired: whether outer unit h of a meets only outer unit h of b (they are fixed).
        products: Σ z_a z_bᵀ, [units, units]; of each outer unit by itself where paired.
        firsts: Σ z of a's and b's units, [2, units].
        squares: Σ z², [2, units].
        count: number of samples × positions.
        shifts: what was subtracted from each unit's values beforehand, or None.
    """

    paired: bool
    products: Tensor
    firsts: Tensor
    squares: Tensor
    count: int = 0
    shifts: tuple[Tensor, Tensor] | None = None

    @classmethod
    def empty(cls, copies: int, size: int, paired: bool, device: torch.device) -> Sums:
        """Return sums over nothing for `copies` × `size` units."""
        shape = (copies, size, size) if paired else (copies * size, copies * size)
        zeros = torch.zeros(2, copies * size, dtype=torch.float64, device=device)
        products = torch.zeros(shape, dtype=torch.float64, device=device)
        return cls(paired, products, zeros, zeros.clone())

    def add(self, a: Tensor, b: Tensor, shifted: bool) -> None:
        """Add a batch of values, each [units, N] or [outer, units, N].

        Args:
            a: of a.
            b: of b.
            shifted: whether to subtract the first batch's mean, so that little is lost when
                a unit varies much less than it is large.
        """
        if shifted and self.shifts is None:
            self.shifts = (a.mean(-1, keepdim=True), b.mean(-1, keepdim=True))
        if self.shifts is not None:
            a, b = a - self.shifts[0], b - self.shifts[1]
        self.count += a.shape[-1]
        for pieces in zip(a.split(MOST_COLUMNS, -1), b.split(MOST_COLUMNS, -1), strict=True):
            left, right = (z.reshape(*self.products.shape[:-1], -1) for z in pieces)
            self.products += (left @ right.mT).double()
            for side, z in enumerate(pieces):
                flat = z.reshape(self.firsts.shape[1], -1)
                self.firsts[side] += flat.sum(1, dtype=torch.float64)
                self.squares[side] += torch.linalg.vector_norm(flat, dim=1).double().square()

    def likeness(self, statistic: Statistic, epsilon: float) -> Tensor:
        """Return how alike each unit of a and each of b are, with the shape of `products`.

        Args:
            statistic: inner products or correlations.
            epsilon: of the precision that the values had.
        """
        if statistic == "inner_product":
            scale = float(self.squares.sum(1).prod().sqrt())
            return self.products / scale if scale else self.products
        assert self.shifts is not None
        means = self.firsts / self.count
        variances = (self.squares / self.count - means.square()).clamp(min=0)
        sizes = torch.stack([s.double().flatten() for s in self.shifts]) + means
        alive = variances.sqrt() > CONSTANT_UNITS * epsilon * sizes.abs()
        factors = torch.where(alive, variances.rsqrt(), 0.0) / len(means[0]) ** 0.5
        left, right = (self._by_outer(side) for side in means)
        covariance = self.products / self.count - left[..., :, None] * right[..., None, :]
        left, right = (self._by_outer(side) for side in factors)
        return covariance * left[..., :, None] * right[..., None, :]

    def _by_outer(self, units: Tensor) -> Tensor:
        return units.view(self.products.shape[:-1])


def tap_sums(
    program: Program,
    models: Models,
    inputs: tuple[Tensor, ...],
    taps: Mapping[Tap, Sums],
    *,
    statistic: Statistic,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bool:
    """Stream the inputs through both models and add what the taps show; return whether done.

    Args:
        program: the architecture of both.
        models: a's and b's parameters, in one precision and on one device.
        inputs: one tensor [N, *shape] per input of the program.
        taps: each tap with the sums to be brought forward.
        statistic: what is wanted in the end.
        batch_size: samples at a time.
        progress: called with the number of samples read and of all.
        should_stop: asked before each batch.

    Raises:
        MatchingError: a value is not finite.
    """
    nodes = tuple(dict.fromkeys(tap.node for tap in taps))
    run = program.tapped(nodes)
    first = next(iter(models[0].values()))
    done, total = 0, len(inputs[0])
    for part in zip(*(tensor.split(batch_size) for tensor in inputs), strict=True):
        if should_stop is not None and should_stop():
            return False
        batch = [t.to(first.device, first.dtype if t.is_floating_point() else None) for t in part]
        seen = [run(model, *batch)[1] for model in models]
        for tap, sums in taps.items():
            a, b = (unfolded(values[tap.node], tap) for values in seen)
            sums.add(a, b, shifted=statistic == "correlation")
        done += len(part[0])
        if progress is not None:
            progress(done, total)
    for tap, sums in taps.items():
        for model, squares in zip("ab", sums.squares, strict=True):
            if not bool(squares.isfinite().all()):
                raise MatchingError(
                    f"on these inputs {model} has values at {tap.node} that are NaN, infinite or "
                    "too large to be squared; look at its data and weights, or bring both models "
                    "in float64"
                )
    return True
