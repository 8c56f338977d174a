"""One rule per ATen op: how it ties the axes of its inputs, and the axes of its outputs.

A rule is a function of a `Call`, entered under the op's name without `aten::`; a name with
an overload (`max.dim`) goes before one without. A rule must be equivariant: permuting the
inputs along their axes permutes the outputs along theirs, for every permutation of the atoms
that it leaves free. It raises `NoRuleError` for forms of its op that it does not cover; the
derivation then fixes every axis that the call touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, fx

from engine.symmetry.axes import Expression
from engine.symmetry.unify import NO_REFINEMENT, Algebra, NoRefinementError

Axes = tuple[Expression, ...]
"""One axis per dimension of a tensor."""


@dataclass(frozen=True)
class Apart:
    """A tensor as its stretches along one dimension, each with axes of its own."""

    dim: int
    parts: tuple[Axes, ...]
    """All axes of every stretch; they differ in more than the dimension itself."""


@dataclass(frozen=True)
class Folded:
    """A tensor in which one axis is laid out along several dimensions, until they are merged."""

    axes: Axes
    """The other axes; a fixed one stands for each of those dimensions."""

    dims: tuple[int, ...]
    """Where those dimensions stand now, in the order in which they divided the axis."""

    whole: Expression
    """The axis."""


@dataclass(frozen=True)
class Stacked:
    """A tensor as equal stretches along its first dimension, which only one op reads."""

    parts: tuple[Axes, ...]
    """All axes of every stretch; they have nothing in common."""


Value = Axes | list[Axes] | Apart | Folded | Stacked | None
"""What is known of a node: a tensor's axes, several tensors, or nothing (no tensor)."""

Shape = tuple[int, ...]


class NoRuleError(Exception):
    """A rule does not cover the form in which its op is called."""


@dataclass(frozen=True)
class Call:
    """One call of an op: its arguments by name, what is known of them, its output shapes."""

    node: fx.Node
    op: str
    """The name of the op without `aten::` and overload: the key of its rule."""

    name: str
    """Its full name, as reports show it."""

    arguments: dict[str, object]
    values: dict[fx.Node, Value]
    shapes: tuple[Shape, ...]
    """The shape of each output tensor; the dynamic batch stands as one large prime."""
    used_outputs: frozenset[int]
    algebra: Algebra
    produced: list[tuple[str, Expression]]
    """(parameter name, axis) for every output axis of a contraction, in graph order."""
    parameter_of: Callable[[object], str | None]
    acted: list[Expression] = field(default_factory=list)
    """Axes along which the op reads places: nothing under them stays apart (`nesting.py`)."""

    @property
    def shape(self) -> Shape:
        """The shape of the only output."""
        if len(self.shapes) != 1:
            raise NoRuleError
        return self.shapes[0]

    def axes(self, name: str) -> Axes:
        """Return the axes of a tensor argument."""
        axes = self.optional(name)
        if axes is None:
            raise NoRuleError
        return axes

    def optional(self, name: str) -> Axes | None:
        """Return the axes of a tensor argument, None where it is absent."""
        argument = self.arguments.get(name)
        if argument is None:
            return None
        axes = self.values.get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(axes, tuple):
            raise NoRuleError
        return axes

    def stacked(self, name: str) -> tuple[Axes, ...]:
        """Return the parts of an argument that is a stack of tensors, none where it is not."""
        argument = self.arguments.get(name)
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        return value.parts if isinstance(value, Stacked) else ()

    def many(self, name: str) -> list[Axes]:
        """Return the axes of every tensor of a list argument."""
        found = []
        for argument in _sequence(self.arguments.get(name)):
            axes = self.values.get(argument) if isinstance(argument, fx.Node) else None
            if not isinstance(axes, tuple):
                raise NoRuleError
            found.append(axes)
        return found

    def tensors(self) -> list[Axes]:
        """Return the axes of every tensor among the arguments."""
        nodes = [value for value in self.arguments.values() if isinstance(value, fx.Node)]
        return [axes for axes in map(self.values.get, nodes) if isinstance(axes, tuple)]

    def strides(self, name: str) -> list[int]:
        """Return how a tensor argument lies in memory, where its batch does not stretch it."""
        argument = self.arguments.get(name)
        value = argument.meta.get("val") if isinstance(argument, fx.Node) else None
        if not isinstance(value, Tensor) or value.storage_offset():
            raise NoRuleError
        strides = list(value.stride())
        if not all(isinstance(stride, int) for stride in strides):
            raise NoRuleError
        return strides

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer argument that does not depend on the batch."""
        value = self.arguments.get(name)
        if value is None:
            value = default
        if not isinstance(value, int):
            raise NoRuleError
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of integers (or one, as a list) that do not depend on the batch."""
        values = tuple(_sequence(self.arguments.get(name)))
        if not all(isinstance(value, int) for value in values):
            raise NoRuleError
        return values  # type: ignore[return-value]

    def unify(self, left: Expression | None, right: Expression | None) -> None:
        """Make two axes permute together; an absent one asks for nothing."""
        if left is not None and right is not None:
            self.algebra.unify(left, right)

    def split(self, axis: Expression, inner: int) -> tuple[Expression, Expression]:
        """Divide an axis into (outer, inner); an axis that cannot be divided is fixed."""
        try:
            return self.algebra.split(axis, inner)
        except NoRefinementError:
            self.algebra.fix(axis, NO_REFINEMENT)
            outer, inside = (
                self.algebra.fixed(n, NO_REFINEMENT) for n in (axis.size // inner, inner)
            )
            return outer, inside

    def fix(self, axes: Iterable[Expression], why: str) -> None:
        """Fix axes whose order matters to the op."""
        for axis in axes:
            self.acted.append(axis)
            self.algebra.fix(axis, self._because(why))

    def hold(self, axes: Iterable[Expression], why: str) -> None:
        """Fix axes whose order matters although the op mixes no two of their places."""
        for axis in axes:
            self.algebra.fix(axis, self._because(why))

    def fixed(self, sizes: Iterable[int], why: str) -> Axes:
        """Return new axes whose order carries a meaning."""
        return tuple(self.algebra.fixed(size, self._because(why)) for size in sizes)

    def free(self, sizes: Iterable[int]) -> Axes:
        """Return new axes along which the tensor is constant, so that any order will do."""
        return tuple(self.algebra.unvarying(size) for size in sizes)

    def produce(self, argument: str, axis: Expression) -> None:
        """Note that a parameter makes an axis: a group is called after its first maker."""
        name = self.parameter_of(self.arguments.get(argument))
        if name is not None:
            self.produced.append((name, axis))

    def broadcast(self, operands: Sequence[Axes], shape: Shape) -> Axes:
        """Unify axes that meet under broadcasting and return the result's; 1 stretches."""
        result = []
        for offset, size in enumerate(reversed(shape), start=1):
            meeting = [a[-offset] for a in operands if len(a) >= offset and a[-offset].size != 1]
            for other in meeting[1:]:
                self.unify(meeting[0], other)
            result.append(meeting[0] if meeting else self.algebra.unvarying(size))
        return tuple(reversed(result))

    def _because(self, why: str) -> str:
        return f"{self.name} {why}"


Rule = Callable[[Call], Value]

RULES: dict[str, Rule] = {}
"""Op name → rule; filled by the modules of this package."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function as the rule of some ops."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return enter


def dimension(index: int, rank: int) -> int:
    """Return a dimension counted from the front."""
    return index + rank if index < 0 else index


def replaced(axes: Axes, index: int, *new: Expression) -> Axes:
    """Return the axes with one of them replaced, or removed."""
    return (*axes[:index], *new, *axes[index + 1 :])


def _sequence(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
