"""The names of a state dict as a tree, free of wrappers and of the prefix that all share.

Published architectures are told by the names that their library gives them. A reader asks the
tree for shapes under those names; what is missing is said in the checkpoint's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import UnknownArchitectureError
from engine.families.layout import WRAPPERS, Layout, show_shape

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Shapes by stripped name.

    Attributes:
        shapes: Stripped tensor name -> shape.
        labels: Stripped tensor name -> the checkpoint's own name.
        children: Stripped path ("" is the root) -> the names directly below it.
        integers: Stripped names of tensors that hold whole numbers.
    """

    shapes: Mapping[str, Shape]
    labels: Mapping[str, str]
    children: Mapping[str, frozenset[str]]
    integers: frozenset[str]

    def has(self, path: str) -> bool:
        """Whether there is a tensor of this name, or anything below this path."""
        return path in self.shapes or path in self.children

    def first(self, *paths: str) -> str:
        """Return the first path that is there.

        Raises:
            UnknownArchitectureError: None is; names them all.
        """
        for path in paths:
            if self.has(path):
                return path
        raise UnknownArchitectureError(f"There is no {' nor '.join(paths)}.")

    def shape(self, name: str, dimensions: int | None = None) -> Shape:
        """Return the shape of a tensor.

        Args:
            name: Its stripped name.
            dimensions: How many it must have; any number unless given.

        Raises:
            UnknownArchitectureError: It is missing or has another number of dimensions.
        """
        shape = self.shapes.get(name)
        if shape is None:
            raise UnknownArchitectureError(f"There is no {name}.")
        if dimensions is not None and len(shape) != dimensions:
            raise UnknownArchitectureError(
                f"{self.labels[name]} {show_shape(shape)} should have {dimensions} dimensions."
            )
        if 0 in shape:
            raise UnknownArchitectureError(f"{self.labels[name]} {show_shape(shape)} is empty.")
        return shape

    def weight(self, path: str, dimensions: int) -> Shape:
        """Return the shape of a layer's weight; errors are those of `shape`."""
        return self.shape(f"{path}.weight", dimensions)

    def bias(self, path: str) -> bool:
        """Whether a layer has a bias."""
        return f"{path}.bias" in self.shapes

    def numbered(self, path: str) -> tuple[int, ...]:
        """Return the numbers directly below a path, ascending: blocks of a stage, say."""
        names = self.children.get(path, frozenset())
        return tuple(sorted(int(name) for name in names if name.isdecimal()))

    def in_order(self, path: str, first: int = 0) -> tuple[int, ...]:
        """Return the numbers directly below a path, which must be first, first + 1, …

        Raises:
            UnknownArchitectureError: There are none, or one is missing.
        """
        numbers = self.numbered(path)
        for expected, number in enumerate(numbers, start=first):
            if number != expected:
                raise UnknownArchitectureError(f"There is no {path}.{expected}.")
        if not numbers:
            raise UnknownArchitectureError(f"There is no {path}.{first}.")
        return numbers


def tree_of(layout: Layout) -> Tree:
    """Return the tree of a layout's tensors."""
    split = {
        name: tuple(piece for piece in name.split(".") if piece not in WRAPPERS) or (name,)
        for name in layout.shapes
    }
    if len(set(split.values())) < len(split):
        split = {name: tuple(name.split(".")) for name in layout.shapes}
    pieces = list(split.values())
    shared = 0
    while len(pieces) > 1 and all(
        len(p) > shared + 1 and p[shared] == pieces[0][shared] for p in pieces
    ):
        shared += 1
    stripped = {name: path[shared:] for name, path in split.items()}
    children: dict[str, set[str]] = {}
    for path in stripped.values():
        for depth in range(len(path)):
            children.setdefault(".".join(path[:depth]), set()).add(path[depth])
    names = {name: ".".join(path) for name, path in stripped.items()}
    return Tree(
        shapes={names[name]: shape for name, shape in layout.shapes.items()},
        labels={stripped: name for name, stripped in names.items()},
        children={path: frozenset(below) for path, below in children.items()},
        integers=frozenset(names[name] for name in layout.integers),
    )
