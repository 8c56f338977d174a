"""The boxes of a network's drawing: layers, the groups on their axes, and which share a box.

A norm is drawn with the layer that feeds nothing but it, and joins of one kind that only feed
each other are one join: what is left is what a reader would draw by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engine.symmetry import Symmetry

FIXED = 0
"""Stands for a stretch that no group permutes; groups are numbered from 1."""


@dataclass(frozen=True)
class Stretch:
    """A part of one axis: its length, and the numbers of the groups on it, outer to inner."""

    size: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One box of the drawing.

    Attributes:
        name: the module's path; empty for joins, inputs and outputs.
        kind: "conv", "linear", "norm", "embedding", "parameter", "join", "input" or "output".
        sign: what a join does ("+"), or which op a layer is.
        parameters: names of the parameters that it reads.
        shape: of its largest parameter.
        inputs, outputs: the stretches of the axis by which data comes in and goes out.
        sources: places of the layers that data comes from, all smaller than its own.
    """

    name: str
    kind: str
    sign: str
    parameters: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    inputs: tuple[Stretch, ...] = ()
    outputs: tuple[Stretch, ...] = ()
    sources: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    """Further modules drawn in the same box, such as a norm behind its convolution."""


def axis_stretches(symmetry: Symmetry) -> dict[tuple[str, int], tuple[Stretch, ...]]:
    """Return (parameter, axis) → the stretches of that axis, fixed ones too, in order."""
    found: dict[tuple[str, int], list[tuple[int, int, int, int]]] = {}
    for number, group in enumerate(symmetry.groups, start=1):
        for o in group.occurrences:
            places = [(start, stop, -o.inner, number) for start, stop in o.stretches]
            found.setdefault((o.parameter, o.axis), []).extend(places)
    result = {}
    for name, shape in symmetry.shapes.items():
        for axis, size in enumerate(shape):
            result[name, axis] = _cut(size, found.get((name, axis), ()))
    return result


def _cut(size: int, places: Sequence[tuple[int, int, int, int]]) -> tuple[Stretch, ...]:
    """Cut an axis where its groups begin and end; equal neighbours are one stretch."""
    bounds = sorted({0, size, *(p[0] for p in places), *(p[1] for p in places)})
    stretches: list[Stretch] = []
    for begin, end in pairwise(bounds):
        over = sorted((p for p in places if p[0] <= begin and end <= p[1]), key=lambda p: p[2])
        groups = tuple(dict.fromkeys(p[3] for p in over)) or (FIXED,)
        if stretches and stretches[-1].groups == groups:
            stretches[-1] = Stretch(stretches[-1].size + end - begin, groups)
        else:
            stretches.append(Stretch(end - begin, groups))
    return tuple(stretches)


def merge_joins(layers: list[Layer]) -> list[Layer]:
    """Draw joins of one kind that only feed each other as one: q·k·v, a + b + c."""
    users = _users(layers)
    into: dict[int, int] = {}
    for at, layer in enumerate(layers):
        for source in layer.sources:
            other = layers[source]
            same = layer.kind == other.kind == "join" and layer.sign == other.sign
            if same and users[source] == [at]:
                into[source] = at
    return _merged(layers, into)


def merge_norms(layers: list[Layer]) -> list[Layer]:
    """Draw a norm in the box of the layer that feeds nothing but it."""
    users = _users(layers)
    into: dict[int, int] = {}
    for at, layer in enumerate(layers):
        if layer.kind == "norm" and len(layer.sources) == 1:
            source = layer.sources[0]
            if layers[source].kind in ("conv", "linear") and users[source] == [at]:
                into[at] = source
    return _merged(layers, into)


def _users(layers: Sequence[Layer]) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in layers]
    for at, layer in enumerate(layers):
        for source in layer.sources:
            users[source].append(at)
    return users


def _merged(layers: Sequence[Layer], into: Mapping[int, int]) -> list[Layer]:
    """Return the layers with some taken into others; data flows as before."""
    kept = [at for at in range(len(layers)) if at not in into]
    place = {at: index for index, at in enumerate(kept)}

    def home(at: int) -> int:
        while at in into:
            at = into[at]
        return place[at]

    sources: dict[int, dict[int, None]] = {index: {} for index in range(len(kept))}
    result = [layers[at] for at in kept]
    for at, layer in enumerate(layers):
        own = home(at)
        sources[own].update((home(s), None) for s in layer.sources if home(s) != own)
        if at in into:
            host = result[own]
            parts = (*host.parts, layer.name) if layer.name else host.parts
            taken = (*host.parameters, *layer.parameters)
            result[own] = replace(host, parameters=taken, parts=parts)
    return [
        replace(layer, sources=tuple(sorted(sources[index]))) for index, layer in enumerate(result)
    ]
