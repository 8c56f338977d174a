"""The tensors of a network as a tree of modules, with totals for every subtree.

As model viewers show it: names are cut at their dots, a module that holds nothing but one other
is written in one row with it, numbers count (`layer.2` before `layer.10`), and a search keeps the
matching tensors and the path to them. Names come from files of strangers and are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from typing import Any

from engine.figures.groups import chip
from engine.figures.numbers import count, size_in_bytes

Tensor = Mapping[str, Any]
Axes = Mapping[tuple[str, int], Sequence[int]]
MOST_ROWS = 6000
MOST_LEVELS = 10_000
OPEN_ROWS = 24
"""A tree opens as far as it fits into about this many rows."""


@dataclass(frozen=True)
class Node:
    """A module with what is in it, or a tensor.

    Attributes:
        label: what its row is called, without the path above.
        tensor: its entry in a summary's `tensors`; None for a module.
        children: in natural order.
        elements, bytes, tensors: totals over everything below.
    """

    label: str
    tensor: Tensor | None
    children: tuple[Node, ...]
    elements: int
    bytes: int
    tensors: int


def tensor_tree(tensors: Sequence[Tensor], query: str = "") -> Node:
    """Return the tree of all tensors whose names hold every word of `query`."""
    words = query.casefold().split()
    kept = [t for t in tensors if all(word in str(t["name"]).casefold() for word in words)]
    kept.sort(key=lambda tensor: natural_key(str(tensor["name"])))
    return _module("", [(tuple(str(t["name"]).split(".")), t) for t in kept])


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that counts: features.2 before features.10."""
    pieces = re.split(r"(\d{1,18})", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p)


def tree_lines(root: Node, most: int = 60) -> list[str]:
    """Return the tree as lines of text, modules folded until about `most` lines are left."""
    depth = _depth_for(root, most)
    rows = list(_text_rows(root, depth, 0))
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {rest}" for name, rest in rows]


def tree_html(root: Node, axes: Axes | None = None, *, open_all: bool = False) -> str:
    """Return the tree as HTML that folds by itself.

    Args:
        root: from `tensor_tree`.
        axes: (parameter, axis) → numbers of the groups on it, drawn beside the axis.
        open_all: open every module, as for a search.
    """
    if not root.tensors:
        return '<p class="bs-muted">No tensor has such a name.</p>'
    depth = MOST_LEVELS if open_all else _depth_for(root, OPEN_ROWS)
    pen = _Pen(root.elements, axes or {})
    rows = "".join(pen.row(child, depth) for child in root.children)
    return f'<div class="bs-tree">{rows}</div>'


def _module(label: str, entries: list[tuple[tuple[str, ...], Tensor]]) -> Node:
    """Return a module of the entries, whose paths begin below it."""
    children: dict[str, list[tuple[tuple[str, ...], Tensor]]] = {}
    leaves: list[Node] = []
    for path, tensor in entries:
        if len(path) == 1:
            leaves.append(_leaf(path[0], tensor))
        else:
            children.setdefault(path[0], []).append((path[1:], tensor))
    modules = [_module(name, inside) for name, inside in children.items()]
    return _joined(label, (*leaves, *modules))


def _joined(label: str, nodes: tuple[Node, ...]) -> Node:
    """Return a module; one that holds a single module takes that one's rows as its own."""
    if label and len(nodes) == 1 and nodes[0].tensor is None:
        return Node(f"{label}.{nodes[0].label}", None, *_rest(nodes[0]))
    return Node(
        label,
        None,
        nodes,
        sum(node.elements for node in nodes),
        sum(node.bytes for node in nodes),
        sum(node.tensors for node in nodes),
    )


def _rest(node: Node) -> tuple[tuple[Node, ...], int, int, int]:
    return node.children, node.elements, node.bytes, node.tensors


def _leaf(label: str, tensor: Tensor) -> Node:
    return Node(label, tensor, (), prod(tensor["shape"]), int(tensor["bytes"]), 1)


def _depth_for(root: Node, most: int) -> int:
    """Return how many levels can be open without showing more than `most` rows."""
    depth, level = 0, list(root.children)
    shown = len(level)
    while level:
        level = [child for node in level for child in node.children]
        shown += len(level)
        if shown > most:
            break
        depth += 1
    return depth


def _text_rows(node: Node, depth: int, indent: int) -> Iterator[tuple[str, str]]:
    for child in node.children:
        name = "  " * indent + (child.label if child.tensor is not None else f"{child.label}.")
        if child.tensor is not None:
            yield name, f"{shape_words(child.tensor)}  {child.tensor['dtype']}"
            continue
        yield name, f"{child.tensors} tensors, {child.elements:,} elements"
        if indent < depth:
            yield from _text_rows(child, depth, indent + 1)


def shape_words(tensor: Tensor) -> str:
    """Return a shape in words: 512 × 784; "one number" for a scalar."""
    return " × ".join(str(size) for size in tensor["shape"]) or "one number"


class _Pen:
    """Writes rows; a file of very many tensors does not become a page of very many rows."""

    def __init__(self, elements: int, axes: Axes) -> None:
        self.elements, self.axes, self.left = max(elements, 1), axes, MOST_ROWS

    def row(self, node: Node, depth: int) -> str:
        """Return a tensor's row, or a module's with everything in it."""
        if self.left == 0:
            return ""
        self.left -= 1
        bar = f'<i style="width:{100 * node.elements / self.elements:.2f}%"></i>'
        if node.tensor is not None:
            return self._leaf(node, node.tensor, bar)
        inside = "".join(self.row(child, depth - 1) for child in node.children)
        if self.left == 0:
            inside += '<p class="bs-muted">There are more: search for them by name.</p>'
        word = "tensor" if node.tensors == 1 else "tensors"
        return (
            f"<details{' open' if depth > 0 else ''}><summary><b>{escape(node.label)}</b>"
            f"<span>{count(node.tensors)} {word}</span>{_numbers(node, bar)}</summary>"
            f"<div>{inside}</div></details>"
        )

    def _leaf(self, node: Node, tensor: Tensor, bar: str) -> str:
        what = f"{_shape(tensor, self.axes)} <em>{escape(str(tensor['dtype']))}</em>"
        title = escape(f"{tensor['name']}: {shape_words(tensor)}", quote=True)
        return (
            f'<div class="bs-leaf" title="{title}"><b>{escape(node.label)}</b>'
            f"<span>{what}</span>{_numbers(node, bar)}</div>"
        )


def _numbers(node: Node, bar: str) -> str:
    return (
        f'<span class="bs-count">{count(node.elements)}</span>'
        f'<span class="bs-bytes">{size_in_bytes(node.bytes)}</span>'
        f'<span class="bs-bar">{bar}</span>'
    )


def _shape(tensor: Tensor, axes: Axes) -> str:
    """Return a shape with the groups that stand on its axes."""
    name = str(tensor["name"])
    parts = [
        f"{size}{''.join(chip(number) for number in axes.get((name, axis), ()))}"
        for axis, size in enumerate(tensor["shape"])
    ]
    return " × ".join(parts) or "one number"
