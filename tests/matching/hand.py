"""Hand-made symmetries and an independent oracle for the matching tests.

The oracle writes every permutation as a matrix and lets autograd differentiate the objective:
a group's cost is the derivative by its matrix, one occurrence at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product

import torch
from torch import Tensor

from engine.matching.problem import Problem
from engine.symmetry import Group, Occurrence, Report, Symmetry


def symmetry(shapes: Mapping[str, tuple[int, ...]], **groups: list[tuple[int, ...]]) -> Symmetry:
    """Build a Symmetry; an occurrence is (parameter's number, axis, start, outer, size, inner)."""
    names = list(shapes)
    return Symmetry(
        groups=tuple(
            Group(name, found[0][4], tuple(Occurrence(names[o[0]], *o[1:]) for o in found))
            for name, found in groups.items()
        ),
        report=Report((), ()),
        shapes=shapes,
        trainable=frozenset(shapes),
    )


def draw(symmetry: Symmetry, seed: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Draw normal tensors of the symmetry's shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in symmetry.shapes.items()
    }


def mlp_symmetry(inputs: int, first: int, second: int, outputs: int) -> Symmetry:
    """Return the two groups of a perceptron with two hidden layers."""
    shapes = {
        "w1": (first, inputs),
        "b1": (first,),
        "w2": (second, first),
        "b2": (second,),
        "w3": (outputs, second),
    }
    return symmetry(
        shapes,
        first=[(0, 0, 0, 1, first, 1), (1, 0, 0, 1, first, 1), (2, 1, 0, 1, first, 1)],
        second=[(2, 0, 0, 1, second, 1), (3, 0, 0, 1, second, 1), (4, 1, 0, 1, second, 1)],
    )


def twice_symmetry(n: int) -> Symmetry:
    """Return one group on both axes of a square matrix, as in a linear residual stream."""
    return symmetry(
        {"w": (n, n), "in": (n, 2)},
        stream=[(0, 0, 0, 1, n, 1), (0, 1, 0, 1, n, 1), (1, 0, 0, 1, n, 1)],
    )


def mixed_symmetry() -> Symmetry:
    """Return concatenations, products, two factors of one axis, a group on two axes."""
    return symmetry(
        {
            "fused": (9, 4),  # places 1..7 hold the 3 units of g twice, outer index first
            "flat": (2, 12),  # the 3 units of g, each with 4 places
            "conv": (4, 3, 2, 2),  # h by g by a kernel
            "heads": (12, 3),  # one axis: 4 units of h, outer, 3 units of g, inner
            "square": (3, 5),  # g, and g again on places 1..4
            "middle": (2, 3, 4),  # neither axis first
        },
        g=[
            (0, 0, 1, 2, 3, 1),
            (1, 1, 0, 1, 3, 4),
            (2, 1, 0, 1, 3, 1),
            (3, 0, 0, 4, 3, 1),
            (4, 0, 0, 1, 3, 1),
            (4, 1, 1, 1, 3, 1),
            (5, 1, 0, 1, 3, 1),
        ],
        h=[
            (0, 1, 0, 1, 4, 1),
            (2, 0, 0, 1, 4, 1),
            (3, 0, 0, 1, 4, 3),
            (5, 2, 0, 1, 4, 1),
        ],
    )


def scattered_symmetry() -> Symmetry:
    """Return a group of units on several stretches, with one that stands between them."""
    around, every = ((0, 2), (5, 2)), ((0, 1), (2, 1), (4, 1), (6, 1))
    scattered = [
        Occurrence("up", 0, 0, 1, 4, 1, pieces=around),
        Occurrence("down", 1, 0, 1, 4, 1, pieces=every),
        Occurrence("flat", 1, 0, 1, 4, 3, pieces=((0, 2), (12, 2))),
        Occurrence("heads", 0, 1, 2, 4, 1, pieces=((1, 1), (5, 3))),
        Occurrence("square", 0, 0, 1, 4, 1, pieces=around),
        Occurrence("square", 1, 0, 1, 4, 1, pieces=((4, 3), (0, 1))),
    ]
    between = [
        Occurrence("up", 0, 2, 1, 3, 1),
        Occurrence("down", 1, 1, 1, 3, 1, pieces=((1, 1), (3, 1), (5, 1))),
        Occurrence("flat", 0, 0, 1, 3, 1),
        Occurrence("flat", 1, 6, 2, 3, 1),
        Occurrence("square", 0, 2, 1, 3, 1),
    ]
    shapes = {"up": (7, 3), "down": (2, 7), "flat": (3, 18), "heads": (12, 2), "square": (7, 7)}
    groups = (Group("around", 4, tuple(scattered)), Group("between", 3, tuple(between)))
    return Symmetry(groups, Report((), ()), shapes, frozenset(shapes))


def places(o: Occurrence) -> list[list[int]]:
    """Return the places of all units of an occurrence, once per unit outside and inside it."""
    pieces = o.pieces or ((o.start, o.size),)
    return [
        [
            start + (outside * units + unit) * o.inner + inside
            for start, units in pieces
            for unit in range(units)
        ]
        for outside in range(o.outer)
        for inside in range(o.inner)
    ]


def oracle(
    symmetry: Symmetry, a: Mapping[str, Tensor], b: Mapping[str, Tensor], perms: Mapping
) -> tuple[float, dict[str, Tensor]]:
    """Return the objective and each group's cost, by permutation matrices and autograd."""
    matrices: dict[str, list[Tensor]] = {group.name: [] for group in symmetry.groups}
    permuted = {name: tensor.double() for name, tensor in b.items()}
    for group in symmetry.groups:
        for o in group.occurrences:
            matrix = torch.eye(group.size, dtype=torch.float64)[perms[group.name]]
            matrix.requires_grad_()
            matrices[group.name].append(matrix)
            length = symmetry.shapes[o.parameter][o.axis]
            whole = torch.eye(length, dtype=torch.float64)
            for own in map(torch.tensor, places(o)):
                whole = whole.index_put((own[:, None], own[None]), matrix)
            moved = torch.tensordot(whole, permuted[o.parameter], dims=([1], [o.axis]))
            permuted[o.parameter] = moved.movedim(0, o.axis)
    total = sum((a[name].double() * permuted[name]).sum() for name in a)
    assert isinstance(total, Tensor)
    total.backward()
    costs = {
        name: sum((m.grad for m in found if m.grad is not None), torch.zeros(()))
        for name, found in matrices.items()
    }
    return float(total.detach()), costs


def all_permutations(problem: Problem) -> Iterator[dict[str, Tensor]]:
    """Yield every permutation of every group: small groups only."""
    choices = [list(permutations(range(n))) for n in problem.sizes.values()]
    for chosen in product(*choices):
        yield {name: torch.tensor(p) for name, p in zip(problem.sizes, chosen, strict=True)}
