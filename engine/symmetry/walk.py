"""One walk through a Program's graph, one rule per op.

Every dimension of every parameter starts as one free atom; the rules tie, divide and fix
them (`rules/`). An op without a rule fixes every axis that it touches and is named.
"""

from __future__ import annotations

import operator

import torch
from torch import Tensor, fx

from engine.program import Program
from engine.symmetry.axes import Expression, atoms
from engine.symmetry.merging import Kinds, kinds_in
from engine.symmetry.nesting import Contact, Space
from engine.symmetry.rules import (
    RULES,
    Apart,
    Axes,
    Call,
    Folded,
    NoRuleError,
    Rule,
    Stacked,
    Value,
    divided,
    followed,
    joined,
    merged,
    tensors_of,
)
from engine.symmetry.rules.pointwise import pointwise
from engine.symmetry.sizes import Sizes, UnsizedError
from engine.symmetry.spaces import observe
from engine.symmetry.stacks import Held, stacked_weights
from engine.symmetry.unify import Algebra, NoRefinementError
from engine.symmetry.uses import renewed

INPUT = "it meets an input of the model"
OUTPUT = "it is an output of the model"
CONSTANT = "it meets a constant that differs along it"
UNUSED = "the model does not use it"

UNFORESEEN = (LookupError, TypeError, ValueError)
"""What a rule raises on a form that its author did not think of: as good as no rule."""


class Walk:
    """The state of one walk through a graph."""

    def __init__(
        self, program: Program, *, scattering: bool = True, stacking: bool = False
    ) -> None:
        self.program = program
        self.stacks = stacked_weights(program) if stacking else {}
        self.algebra = Algebra(scattering=scattering)
        self.sizes = Sizes()
        self.values: dict[fx.Node, Value] = {}
        self.parameters: dict[str, Axes | Stacked] = {}
        self.held: list[Held] = []
        self.produced: list[tuple[str, Expression]] = []
        self.without_rule: dict[str, None] = {}
        self.spaces: list[Space] = []
        self.contacts: list[Contact] = []
        self.axes: list[Expression] = []
        self.kinds: list[Kinds] = []

    def run(self) -> None:
        for name, spec in self.program.parameters.items():
            self.parameters[name] = self._parameter(name, spec.shape)
        self.spaces += [Space(one.axes) for one in self.held]
        for node in self.program.graph_module.graph.nodes:
            self.values[node] = self._value(node)
        used = {self.program.placeholders.get(n.name) for n in self.values if n.users}
        for name, axes in self.parameters.items():
            if name not in used:
                self._fix(axes, UNUSED)

    def _parameter(self, name: str, shape: tuple[int, ...]) -> Axes | Stacked:
        """Return a parameter's axes, all free; those of every part where it is a stack."""
        count = self.stacks.get(name, 1)
        each = shape[0] // count if count > 1 else 0
        parts = []
        for start in range(0, each * count, each) if count > 1 else (None,):
            lengths = shape if start is None else (each, *shape[1:])
            parts.append(tuple(self.algebra.free(size) for size in lengths))
            rows = None if start is None else (start, start + each)
            self.held.append(Held(name, parts[-1], rows))
        return Stacked(tuple(parts)) if count > 1 else parts[0]

    def _value(self, node: fx.Node) -> Value:
        if node.op == "placeholder":
            return self._placeholder(node)
        if node.op == "output":
            for value in map(self.values.get, node.all_input_nodes):
                self._fix(value, OUTPUT)
            return None
        if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
            values = self.values[node.args[0]]
            if isinstance(values, list) and isinstance(node.args[1], int):
                return values[node.args[1]]
        if node.op == "get_attr" or not _tensors_in(node):
            return self._fixed_like(node, CONSTANT) if _tensors_of(node) else None
        return self._call(node)

    def _placeholder(self, node: fx.Node) -> Value:
        name = self.program.placeholders.get(node.name)
        if name is not None:
            return self.parameters[name]
        constant = self.program.constants.get(node.name)
        if constant is None:
            return self._fixed_like(node, INPUT)
        return tuple(self._constant_axis(constant, axis) for axis in range(constant.dim()))

    def _constant_axis(self, constant: Tensor, axis: int) -> Expression:
        """Return a free axis where the constant is the same all along it."""
        size = constant.shape[axis]
        if size and bool((constant == constant.narrow(axis, 0, 1)).all()):
            return self.algebra.unvarying(size)
        return self.algebra.fixed(size, CONSTANT)

    def _call(self, node: fx.Node) -> Value:
        found = _find_rule(node.target)
        if found is not None:
            try:
                call = self._bind(node)
                for used in call.values.values():
                    self._look_at(used)
                value = self._followed(call)
                if value is None:
                    value = found(call)
                if _fits(value, call):
                    self._observe(call, found, value)
                    return value
            except (NoRuleError, NoRefinementError, UnsizedError, *UNFORESEEN):
                pass  # fixed below; what was tied so far only fixes more
        self.without_rule.setdefault(str(node.target))
        for source in node.all_input_nodes:
            self._fix(self.values.get(source), f"{node.target} has no rule")
        return self._fixed_like(node, f"{node.target} has no rule")

    def _followed(self, call: Call) -> Value:
        """Hand on stretches that are known by themselves; join them where that does not go."""
        for source in call.node.all_input_nodes:
            apart = call.values.get(source)
            if isinstance(apart, Apart):
                value = followed(call, source, apart)
                if value is not None:
                    return value
                call.values[source] = self.values[source] = joined(self.algebra, apart)
            elif isinstance(apart, Folded):
                value = merged(call, source, apart)
                if value is not None:
                    return value
                call.values[source] = self.values[source] = divided(call, apart)
        return None

    def _observe(self, call: Call, found: Rule, value: Value) -> None:
        """Keep what the searches for nested and for merged atoms have to know of a call."""
        for seen in observe(call, found, value):
            if isinstance(seen, Space):
                self.spaces.append(seen)
                continue
            self.contacts.append(seen)
            for axis in seen.axes if seen.acted is None else seen.acted:
                self.algebra.constants.discard(atoms(self.algebra.resolve(axis)))
        self._look_at(value)

    def _look_at(self, value: Value) -> None:
        """Keep the axes of a tensor as it is made or used."""
        for axes in tensors_of(value):
            self.axes += axes
            self.kinds += kinds_in(axes, self.algebra)

    def _bind(self, node: fx.Node) -> Call:
        assert isinstance(node.target, torch._ops.OpOverload)
        schema = node.target._schema.arguments
        arguments: dict[str, object] = {a.name: a.default_value for a in schema}
        arguments |= dict(zip(arguments, node.args, strict=False)) | node.kwargs
        used = frozenset(
            int(user.args[1])  # type: ignore[arg-type]
            for user in node.users
            if user.target is operator.getitem
        )
        return Call(
            node=node,
            op=_op_name(node.target),
            name=str(node.target),
            arguments=arguments,
            values={source: self._used(source) for source in node.all_input_nodes},
            shapes=tuple(self.sizes.shape(tensor) for tensor in _tensors_of(node)),
            used_outputs=used,
            algebra=self.algebra,
            produced=self.produced,
            parameter_of=self._parameter_of,
        )

    def _used(self, node: fx.Node) -> Value:
        """Return a node's value for one use of it."""
        value = self.values.get(node)
        if isinstance(value, tuple):
            return renewed(self.algebra, value)
        return value

    def _parameter_of(self, argument: object) -> str | None:
        """Return the parameter that a node is, possibly seen through views and casts."""
        while isinstance(argument, fx.Node):
            if argument.op == "placeholder":
                return self.program.placeholders.get(argument.name)
            sources = argument.all_input_nodes
            argument = sources[0] if len(sources) == 1 else None
        return None

    def _fix(self, value: Value, reason: str) -> None:
        for axes in tensors_of(value):
            for axis in axes:
                self.algebra.fix(axis, reason)

    def _fixed_like(self, node: fx.Node, reason: str) -> Value:
        values: list[Axes] = [
            tuple(self.algebra.fixed(size, reason) for size in self.sizes.shape_or_opaque(tensor))
            for tensor in _tensors_of(node)
        ]
        if isinstance(node.meta.get("val"), list | tuple):
            return values
        return values[0] if values else None


def _find_rule(target: object) -> Rule | None:
    if not isinstance(target, torch._ops.OpOverload):
        return None
    if target.namespace != "aten":
        return RULES.get(target._schema.name.replace("::", "."))
    name = _op_name(target)
    exact = RULES.get(f"{name}.{target._schema.overload_name or 'default'}")
    if exact is None and torch.Tag.pointwise in target.tags and name not in RULES:
        random = torch.Tag.nondeterministic_seeded in target.tags
        return None if random else pointwise
    return exact or RULES.get(name)


def _op_name(target: torch._ops.OpOverload) -> str:
    return target._schema.name.removeprefix("aten::")


def _fits(value: Value, call: Call) -> bool:
    """Return whether a rule's answer has the outputs' shapes."""
    if isinstance(value, Apart):
        first, dim = value.parts[0], value.dim
        sizes = [axis.size for axis in first]
        sizes[dim] = sum(part[dim].size for part in value.parts)
        return [tuple(sizes)] == list(call.shapes)
    if isinstance(value, Folded):
        value = value.axes
    found = [tuple(a.size for a in axes) for axes in tensors_of(value)]
    return found == list(call.shapes)


def _tensors_of(node: fx.Node) -> list[Tensor]:
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return [item for item in values if isinstance(item, Tensor)]


def _tensors_in(node: fx.Node) -> bool:
    """Return whether a node takes tensors in or gives one out; else it is about sizes."""
    return bool(_tensors_of(node)) or any(
        _tensors_of(n) and not _is_about_sizes(node) for n in node.all_input_nodes
    )


def _is_about_sizes(node: fx.Node) -> bool:
    name = str(node.target)
    return name.startswith(("aten.sym_", "aten._assert_tensor_metadata"))
