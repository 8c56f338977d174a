"""An independent check of a symmetry: the module itself, run with parameters permuted here.

Uses neither `Program` nor `Symmetry.apply`: where each single element comes from is worked
out here, and the module is called as its author wrote it, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from engine.symmetry import Occurrence, Permutation, Symmetry


class Oracle:
    """One module with the outputs, in float64, that no permutation may change."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.module = module
        self.x = _exact(x)
        known = module.state_dict()
        named = (*module.named_parameters(), *module.named_buffers())  # tied ones once
        self.params = {name: _exact(tensor) for name, tensor in named if name in known}
        self.outputs = self.run(self.params)

    def run(self, params: Mapping[str, Tensor]) -> Tensor:
        """Return what the module gives with some parameters."""
        with torch.no_grad():
            return torch.func.functional_call(self.module, dict(params), (self.x,))

    def difference(self, symmetry: Symmetry, permutation: Mapping[str, Tensor]) -> float:
        """Return how far the outputs move, relative to the largest."""
        moved = self.run(permuted(symmetry, permutation, self.params))
        return float((moved - self.outputs).abs().max() / self.outputs.abs().max())

    def alone(self, symmetry: Symmetry, permutation: Permutation) -> dict[str, float]:
        """Return for every group how far the outputs move when it alone is permuted."""
        identity = symmetry.identity()
        return {
            name: self.difference(symmetry, {**identity, name: permutation[name]})
            for name in permutation
        }


def permuted(
    symmetry: Symmetry, permutation: Mapping[str, Tensor], params: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the parameters with every group's permutation applied."""
    result = dict(params)
    moves: dict[str, list[tuple[Occurrence, Tensor]]] = {}
    for group in symmetry.groups:
        for occurrence in group.occurrences:
            move = (occurrence, permutation[group.name])
            moves.setdefault(occurrence.parameter, []).append(move)
    for name, actions in moves.items():
        here = torch.meshgrid(*map(torch.arange, symmetry.shapes[name]), indexing="ij")
        source = list(here)
        for occurrence, p in actions:
            axis = occurrence.axis
            source[axis] = source[axis] + shift(occurrence, here, p)
        result[name] = params[name][tuple(source)]
    return result


def shift(occurrence: Occurrence, here: Sequence[Tensor], p: Tensor) -> Tensor:
    """Return by how much further along its axis every element comes from.

    Args:
        occurrence: where the units stand, and under which others.
        here: the place of every element along every axis.
        p: a vector, W_new = W[p], or one row per unit under which the group stands.
    """
    if occurrence.rows:
        first, last = occurrence.rows
        own = (here[0] >= first) & (here[0] < last)
        return torch.where(own, shift(replace(occurrence, rows=None), here, p), 0)
    if occurrence.pieces:
        return _between_pieces(occurrence, int(here[occurrence.axis].max()) + 1, p)[
            here[occurrence.axis]
        ]
    inside, unit = _unit(occurrence, here)
    if p.dim() == 1:
        source = p[unit]
    else:
        reached, row = _unit(occurrence.under, here)
        inside, source = inside & reached, p[row, unit]
    return torch.where(inside, (source - unit) * occurrence.inner, 0)


def _between_pieces(o: Occurrence, length: int, p: Tensor) -> Tensor:
    """Return by how much further every place of an axis with a scattered group comes from."""
    shifts = torch.zeros(length, dtype=torch.long)
    for outside in range(o.outer):
        for inside in range(o.inner):
            own = [
                start + (outside * units + unit) * o.inner + inside
                for start, units in o.pieces
                for unit in range(units)
            ]
            for unit, place in enumerate(own):
                shifts[place] = own[int(p[unit])] - place
    return shifts


def _unit(o: Occurrence, here: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return which elements an occurrence covers, and the unit that each belongs to."""
    along = here[o.axis] - o.start
    inside = (along >= 0) & (along < o.outer * o.size * o.inner)
    return inside, torch.where(inside, along // o.inner % o.size, 0)


def _exact(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
