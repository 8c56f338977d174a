"""Nested symmetries made by hand: attention, experts, a grouped convolution, a grouped stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import torch
from torch import Tensor

from engine.matching.problem import Problem
from engine.symmetry import Group, Occurrence, Report, Symmetry


def attention_symmetry(heads: int, size: int, width: int) -> Symmetry:
    """Return queries and keys, values, and outputs over a residual stream of fixed units."""
    n = heads * size
    shapes = {"q": (n, width), "k": (n, width), "v": (n, width), "o": (width, n), "s": (heads,)}
    outer = {name: Occurrence(name, name == "o", 0, 1, heads, size) for name in "qkvo"}
    inner = {name: Occurrence(name, name == "o", 0, heads, size, 1, outer[name]) for name in "qkvo"}
    scale = Occurrence("s", 0, 0, 1, heads, 1)
    return Symmetry(
        groups=(
            Group("head", heads, (*outer.values(), scale)),
            Group("score", size, (inner["q"], inner["k"]), heads, "head"),
            Group("value", size, (inner["v"], inner["o"]), heads, "head"),
        ),
        report=Report((), ()),
        shapes=shapes,
        trainable=frozenset(shapes),
    )


def expert_symmetry(experts: int, size: int, width: int, free: bool) -> Symmetry:
    """Return stacked experts over a free stream, the experts themselves free or fixed."""
    shapes = {
        "up": (experts, width, size),
        "down": (experts, size, width),
        "gate": (width, experts),
        "in": (width, 3),
    }
    up, down = (Occurrence(name, 0, 0, 1, experts, 1) for name in ("up", "down"))
    gate = Occurrence("gate", 1, 0, 1, experts, 1)
    unit = (
        Occurrence("up", 2, 0, 1, size, 1, up),
        Occurrence("down", 1, 0, 1, size, 1, down),
    )
    stream = [(name, axis, 0, 1, width, 1) for name, axis in zip(shapes, (1, 2, 0, 0), strict=True)]
    return Symmetry(
        groups=(
            Group("unit", size, unit, experts, "expert" if free else None),
            *((Group("expert", experts, (up, down, gate)),) if free else ()),
            Group("stream", width, tuple(Occurrence(*o) for o in stream)),
        ),
        report=Report((), ()),
        shapes=shapes,
        trainable=frozenset(shapes),
    )


def conv_symmetry(groups: int, size: int) -> Symmetry:
    """Return a grouped convolution between two layers; its weight ties inputs and outputs."""
    n = groups * size
    shapes = {"before": (n, 4), "weight": (n, size, 2), "after": (3, n)}
    outer = {
        "before": Occurrence("before", 0, 0, 1, groups, size),
        "weight": Occurrence("weight", 0, 0, 1, groups, size),
        "after": Occurrence("after", 1, 0, 1, groups, size),
    }
    inputs = (
        Occurrence("before", 0, 0, groups, size, 1, outer["before"]),
        Occurrence("weight", 1, 0, 1, size, 1, outer["weight"]),
    )
    outputs = (
        Occurrence("weight", 0, 0, groups, size, 1, outer["weight"]),
        Occurrence("after", 1, 0, groups, size, 1, outer["after"]),
    )
    return Symmetry(
        groups=(
            Group("group", groups, tuple(outer.values())),
            Group("in", size, inputs, groups, "group"),
            Group("out", size, outputs, groups, "group"),
        ),
        report=Report((), ()),
        shapes=shapes,
        trainable=frozenset(shapes),
    )


def stream_symmetry(groups: int, size: int) -> Symmetry:
    """Return a residual stream in groups: one square weight carries it on both axes."""
    n = groups * size
    rows, columns = (Occurrence("square", axis, 0, 1, groups, size) for axis in (0, 1))
    start = Occurrence("in", 0, 0, 1, groups, size)
    return Symmetry(
        groups=(
            Group("group", groups, (rows, columns, start)),
            Group(
                "unit",
                size,
                tuple(
                    Occurrence(o.parameter, o.axis, 0, groups, size, 1, o)
                    for o in (rows, columns, start)
                ),
                groups,
                "group",
            ),
        ),
        report=Report((), ()),
        shapes={"square": (n, n), "in": (n, 2)},
        trainable=frozenset({"square", "in"}),
    )


SYMMETRIES = {
    "attention": attention_symmetry(2, 3, 4),
    "experts": expert_symmetry(3, 2, 3, free=True),
    "fixed experts": expert_symmetry(3, 2, 3, free=False),
    "grouped convolution": conv_symmetry(2, 3),
    "grouped stream": stream_symmetry(2, 3),
}


def all_of(group: Group) -> Iterator[Tensor]:
    """Yield every permutation of one group, all rows of a nested one."""
    own = list(permutations(range(group.size)))
    for chosen in product(own, repeat=group.copies):
        rows = torch.tensor(chosen)
        yield rows if group.nested else rows[0]


def all_permutations(problem: Problem, *names: str) -> Iterator[dict[str, Tensor]]:
    """Yield every permutation of some groups, of all if none are named."""
    names = names or tuple(problem.groups)
    for chosen in product(*(list(all_of(problem.groups[name])) for name in names)):
        yield dict(zip(names, chosen, strict=True))
