"""How a parameter is laid out so that every group acts along single axes of it.

A nested group may have its outer units on another axis (experts × hidden units, the weight
of a grouped convolution). Those axes are then viewed as one, the outer and the inner units
side by side, and its occurrences are expressed along the merged axis. All else is the
parameter as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from engine.symmetry.groups import Group
from engine.symmetry.occurrence import Occurrence, places_of

Perms = Mapping[str, Tensor]
"""Group name → vector, or matrix where it is nested; see `Permutation`."""

OUTSIDE = -1


@dataclass(frozen=True)
class Carried:
    """An occurrence together with the name of the group that it belongs to."""

    group: str
    occurrence: Occurrence

    def overlaps(self, other: Carried) -> bool:
        """Tell whether two occurrences share places of one axis."""
        return self.occurrence.overlaps(other.occurrence)


@dataclass(frozen=True)
class Layout:
    """A view of a parameter, and what permutes its axes, in the order of application."""

    order: tuple[int, ...]
    """The parameter's axes in the order in which the view has them."""

    blocks: tuple[tuple[int, ...], ...]
    """For each axis of the view the lengths of the parameter's axes that it merges."""

    carried: tuple[Carried, ...]
    """Occurrences along the axes of the view; plain groups before nested ones."""

    @property
    def is_plain(self) -> bool:
        """Whether the view is the parameter itself."""
        return all(len(block) == 1 for block in self.blocks)

    def view(self, tensor: Tensor) -> Tensor:
        """Return a parameter in this layout."""
        if self.is_plain:
            return tensor
        return tensor.permute(self.order).reshape([prod(block) for block in self.blocks])

    def restore(self, tensor: Tensor) -> Tensor:
        """Return the parameter that has this view."""
        if self.is_plain:
            return tensor
        lengths = [length for block in self.blocks for length in block]
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return tensor.reshape(lengths).permute(back).contiguous()

    def along(self, axis: int) -> tuple[Carried, ...]:
        """Return what permutes one axis of the view."""
        return tuple(one for one in self.carried if one.occurrence.axis == axis)


def layouts(groups: Sequence[Group], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Layout]:
    """Return parameter name → layout, for every parameter that some group permutes."""
    found: dict[str, list[Carried]] = {}
    for group in sorted(groups, key=lambda group: group.nested):
        for occurrence in group.occurrences:
            found.setdefault(occurrence.parameter, []).append(Carried(group.name, occurrence))
    first = [o.parameter for group in groups for o in group.occurrences]
    return {name: _layout(found[name], shapes[name]) for name in dict.fromkeys(first)}


def _layout(carried: Sequence[Carried], shape: tuple[int, ...]) -> Layout:
    merged = [{axis} for axis in range(len(shape))]
    for one in carried:
        if one.occurrence.under is not None or one.occurrence.rows is not None:
            under = one.occurrence.under
            axes = {one.occurrence.axis, 0 if under is None else under.axis}
            together = [block for block in merged if block & axes]
            merged = [block for block in merged if block not in together]
            merged.append(set().union(*together))
    ordered = sorted(sorted(block) for block in merged)
    return Layout(
        order=tuple(axis for block in ordered for axis in block),
        blocks=tuple(tuple(shape[axis] for axis in block) for block in ordered),
        carried=tuple(
            Carried(one.group, occurrence)
            for one in carried
            for occurrence in _merged(one.occurrence, ordered, shape)
        ),
    )


def _merged(
    occurrence: Occurrence, blocks: Sequence[Sequence[int]], shape: tuple[int, ...]
) -> Iterable[Occurrence]:
    """Yield an occurrence along the merged axes; once per repetition of an outer axis."""
    if occurrence.under is not None:
        unders = list(_merged(occurrence.under, blocks, shape))
        for own in _merged(replace(occurrence, under=None), blocks, shape):
            yield from (replace(own, under=under) for under in unders if under.overlaps(own))
        return
    index = next(i for i, block in enumerate(blocks) if occurrence.axis in block)
    block, length = blocks[index], shape[occurrence.axis]
    place = block.index(occurrence.axis)
    left = prod(shape[axis] for axis in block[:place])
    right = prod(shape[axis] for axis in block[place + 1 :])
    o, inner = occurrence, occurrence.inner * right
    if o.rows is not None:
        yield _in_rows(o, index, length * right, left // shape[0], right)
        return
    if (o.start, o.stop) == (0, length) and not o.pieces:
        yield o.moved_to(index, 0, o.outer * left, inner, right)
        return
    for repetition in range(left):
        start = (repetition * length + o.start) * right
        yield o.moved_to(index, start, o.outer, inner, right)


def _in_rows(occurrence: Occurrence, axis: int, step: int, between: int, right: int) -> Occurrence:
    """Return an occurrence in some rows along the axis that merges them with its own.

    Args:
        occurrence: with `rows`.
        axis: the merged axis.
        step: how far apart two neighbours along the next axis further out stand there.
        between: the units of the axes between the rows and the occurrence's own axis.
        right: the units inside its own axis.
    """
    o = occurrence
    assert o.rows is not None
    first, times = o.rows[0] * between, (o.rows[1] - o.rows[0]) * between
    start = first * step + o.start * right
    moved = o.moved_to(axis, start, o.outer, o.inner * right, right)
    return replace(moved, repeats=(times, step))


def axis_index(length: int, carried: Sequence[Carried], perms: Perms) -> Tensor:
    """Return which place of the original each place of the permuted axis shows.

    Args:
        length: length of the axis.
        carried: the occurrences on this axis, plain ones first.
        perms: the permutations of their groups.

    Returns:
        int64 [length], on the permutations' device.
    """
    only = carried[0]
    if len(carried) == 1 and only.occurrence.size == length and not only.occurrence.is_scattered:
        return perms[only.group]
    index = torch.arange(length, device=perms[only.group].device)
    for one in carried:
        o, p = one.occurrence, perms[one.group]
        if o.is_scattered:
            places = places_of(o).to(index.device)
            shown = index[places[:, p].reshape(-1)]
            index = index.index_copy(0, places.reshape(-1), shown)
            continue
        stretch = index[o.start : o.stop].view(o.outer, o.size, o.inner)
        permuted = stretch[:, p] if o.under is None else stretch.gather(1, _orders(o, p))
        index = torch.cat((index[: o.start], permuted.reshape(-1), index[o.stop :]))
    return index


def _orders(occurrence: Occurrence, p: Tensor) -> Tensor:
    """Return the order of a nested group's units in every cell of a stretch.

    Returns:
        int64 [outer, size, inner].
    """
    unmoved = torch.arange(occurrence.size, device=p.device)
    rows = torch.cat((p, unmoved[None]))  # the last row is what OUTSIDE reads
    return rows[copies_in(occurrence).to(p.device)].movedim(-1, 1)


@lru_cache(maxsize=4096)
def copies_in(occurrence: Occurrence) -> Tensor:
    """Return which copy of a nested group stands in every cell of its stretch.

    Returns:
        int64 [outer, inner]; OUTSIDE where no unit of the outer group reaches.
    """
    o, under = occurrence, occurrence.under
    assert under is not None
    places = places_of(o)[:, 0]
    copies = (places - under.start) // under.inner % under.size
    inside = (places >= under.start) & (places < under.stop)
    return copies.where(inside, OUTSIDE)
