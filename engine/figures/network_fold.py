"""Repeated blocks of a network, drawn once: twelve equal blocks of a transformer are one.

Two blocks are equal when their layers have the same names, kinds, shapes and joins; each keeps
permutation groups of its own, so a folded row holds the numbers of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Layer = Mapping[str, Any]
Numbers = tuple[int, ...]
FOLDED_FROM = 24
"""A network of fewer rows is drawn whole."""

_COUNTED = re.compile(r"(.*?)(\d+)$")


@dataclass(frozen=True)
class Row:
    """One row of the drawing.

    Attributes:
        layer: what it shows, the first of equal ones.
        sources: rows that data comes from, all above.
        inputs, outputs: per stretch of the axis, per group on it: its numbers in all the
            equal layers.
        names: of all the equal layers.
    """

    layer: Layer
    sources: tuple[int, ...]
    inputs: tuple[tuple[Numbers, ...], ...]
    outputs: tuple[tuple[Numbers, ...], ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Repeat:
    """Rows `first` to `last` stand for `count` equal blocks, called `names`."""

    first: int
    last: int
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.names)


def fold(graph: Sequence[Layer], folded: bool = True) -> tuple[tuple[Row, ...], tuple[Repeat, ...]]:
    """Return the rows of a graph, equal neighbouring blocks as one where that saves rows."""
    paths = _paths(graph)
    runs = _runs(graph, paths, range(len(graph)), 0) if folded and len(graph) > FOLDED_FROM else []
    shown: dict[int, list[int]] = {at: [at] for at in range(len(graph))}
    stands_for = {at: at for at in range(len(graph))}
    for blocks, _ in runs:
        first = blocks[0]
        for block in blocks[1:]:
            for own, other in zip(first, block, strict=True):
                shown[own].append(other)
                stands_for[other] = own
                del shown[other]
    place = {at: row for row, at in enumerate(sorted(shown))}
    rows = []
    for at in sorted(shown):
        sources = {place[stands_for[s]] for s in graph[at]["sources"]}
        rows.append(_row([graph[other] for other in shown[at]], sources, place[at]))
    repeats = [Repeat(place[b[0][0]], place[b[0][-1]], names) for b, names in runs]
    return tuple(rows), tuple(repeats)


def _row(layers: Sequence[Layer], sources: set[int], place: int) -> Row:
    return Row(
        layers[0],
        tuple(sorted(source for source in sources if source < place)),
        _numbers([layer["inputs"] for layer in layers]),
        _numbers([layer["outputs"] for layer in layers]),
        tuple(layer["name"] for layer in layers),
    )


def _numbers(sides: Sequence[Any]) -> tuple[tuple[Numbers, ...], ...]:
    return tuple(
        tuple(
            tuple(dict.fromkeys(side[at]["groups"][level] for side in sides))
            for level in range(len(stretch["groups"]))
        )
        for at, stretch in enumerate(sides[0])
    )


def _paths(graph: Sequence[Layer]) -> list[tuple[str, ...]]:
    """Return each layer's path; a join belongs to the block of the layer before it."""
    paths: list[tuple[str, ...]] = []
    for layer in graph:
        own = tuple(layer["name"].split(".")) if layer["name"] else ()
        if layer["kind"] == "join" and paths:
            own = (*paths[-1][:-1], "")
        paths.append(own)
    return paths


Run = tuple[list[list[int]], tuple[str, ...]]


def _runs(
    graph: Sequence[Layer], paths: list[tuple[str, ...]], rows: Sequence[int], depth: int
) -> list[Run]:
    """Return the runs of equal blocks: (rows of each block, names of the blocks)."""
    blocks = _blocks(paths, rows, depth)
    found: list[Run] = []
    at = 0
    while at < len(blocks):
        name, block = blocks[at]
        end = at + 1
        while end < len(blocks) and _follows(graph, paths, blocks[end - 1], blocks[end], depth):
            end += 1
        if end - at > 1 and len(block) > 1:
            names = tuple(".".join((*paths[block[0]][:depth], b[0])) for b in blocks[at:end])
            found.append(([b[1] for b in blocks[at:end]], names))
        elif name and len(block) > 1:
            for _, inner in blocks[at:end]:
                found += _runs(graph, paths, inner, depth + 1)
        at = end
    return found


def _blocks(
    paths: list[tuple[str, ...]], rows: Sequence[int], depth: int
) -> list[tuple[str, list[int]]]:
    """Cut rows where the path's part at `depth` changes; a part is none below its last."""
    blocks: list[tuple[str, list[int]]] = []
    for row in rows:
        name = paths[row][depth] if len(paths[row]) > depth + 1 else ""
        if blocks and name and blocks[-1][0] == name:
            blocks[-1][1].append(row)
        else:
            blocks.append((name, [row]))
    return blocks


def _follows(
    graph: Sequence[Layer],
    paths: list[tuple[str, ...]],
    one: tuple[str, list[int]],
    two: tuple[str, list[int]],
    depth: int,
) -> bool:
    """Say whether a block is the next of the same kind: blocks.3 after an equal blocks.2."""
    first, second = _COUNTED.fullmatch(one[0]), _COUNTED.fullmatch(two[0])
    if not first or not second or first[1] != second[1] or int(second[2]) != int(first[2]) + 1:
        return False
    return _signature(graph, paths, one[1], depth) == _signature(graph, paths, two[1], depth)


def _signature(
    graph: Sequence[Layer], paths: list[tuple[str, ...]], block: list[int], depth: int
) -> tuple:
    start = block[0]
    return tuple(
        (
            paths[row][depth + 1 :],
            *(graph[row][key] for key in ("kind", "sign")),
            tuple(graph[row]["shape"]),
            tuple(source - start for source in graph[row]["sources"]),
            *(_form(graph[row][side]) for side in ("inputs", "outputs")),
        )
        for row in block
    )


def _form(side: Sequence[Mapping[str, Any]]) -> tuple:
    return tuple((s["size"], tuple(number == 0 for number in s["groups"])) for s in side)
