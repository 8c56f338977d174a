"""One node of a graph: which operation, on what, and the names of its results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.checkpoints.admission import shown
from engine.checkpoints.pt2.document import Entry
from engine.checkpoints.pt2.operators import (
    RANDOM,
    SYMBOLIC,
    UNWRITTEN,
    VALUE_DEPENDENT,
    aten_operation,
    base_name,
    is_allowed,
)
from engine.checkpoints.pt2.values import Ref, read_value
from engine.errors import CheckpointError, UnsafeFileError

#: Targets that torch itself emits around parts of a graph, and what to do about them.
_REGIONS = {
    "wrap_with_set_grad_enabled": "torch.no_grad() inside the forward",
    "wrap_with_autocast": "autocast inside the forward",
}
_CAUSES = (
    (RANDOM, "it draws random numbers; export the module in eval mode"),
    (VALUE_DEPENDENT, "what it computes, or its size, depends on values in the data"),
    (
        UNWRITTEN,
        "it shows memory that nobody has written; use torch.zeros, or engine.save_program",
    ),
)
_SYMBOLIC_OUTPUTS = ("as_sym_int", "as_sym_bool", "as_sym_float")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,511}", re.ASCII)

Argument = tuple[str, Any, bool]
"""Name in the operation's schema, value, and whether it is given by that name."""

Output = str | None | tuple[str, ...]
"""The name of one result; None where there is none; several names of a list of tensors."""


@dataclass(frozen=True)
class Step:
    """One operation: `target` is `torch.ops.aten.<name>.<overload>` or one on batch sizes."""

    name: str
    target: str
    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]

    @property
    def produced(self) -> tuple[str, ...]:
        """The names that the step gives."""
        names: list[str] = []
        for output in self.outputs:
            names += [output] if isinstance(output, str) else output or ()
        return tuple(names)


def read_step(node: Entry) -> Step:
    """Return one node.

    Raises:
        UnsafeFileError: it calls something that is not on the list of operations.
        CheckpointError: it is malformed.
    """
    node.only("target", "inputs", "outputs", "metadata", "is_hop_single_tensor_return", "name")
    target = node.text("target")
    _check_target(target)
    outputs = tuple(_output(output) for output in node.entries("outputs"))
    arguments = tuple(_argument(argument) for argument in node.entries("inputs"))
    names = [name for name, _, _ in arguments]
    if len(set(names)) != len(names):
        raise CheckpointError(f"{node.place} gives one argument twice")
    name = node.text("name") if node.has("name") else target.split(".")[-2]
    check_identifier(name)
    step = Step(name, target, arguments, outputs)
    if not step.produced and "._assert_" not in target:
        raise CheckpointError(f"{node.place} has no result")
    return step


def check_identifier(name: str) -> None:
    """Raise CheckpointError where a name of the graph is no plain identifier."""
    if not _NAME.fullmatch(name):
        raise CheckpointError(f"its graph uses {shown(name)} as a name")


def _argument(argument: Entry) -> Argument:
    argument.only("name", "arg", "kind")
    kind = argument.whole("kind") if argument.has("kind") else 1
    if kind not in (1, 2):
        raise CheckpointError(f"{argument.place} has the argument kind {kind}")
    return argument.text("name"), read_value(argument.entry("arg")), kind == 2


def _output(output: Entry) -> Output:
    kind, _ = output.union()
    if kind == "as_none":
        return None
    value = read_value(output)
    if kind == "as_tensors":
        return tuple(ref.name for ref in value)
    if kind not in ("as_tensor", *_SYMBOLIC_OUTPUTS) or not isinstance(value, Ref):
        raise CheckpointError(f"{output.place} is no result: {shown(kind)}")
    return value.name


def _check_target(target: str) -> None:
    """Raise where a target is not on the lists, with the reason that is known."""
    if target in SYMBOLIC:
        return
    found = aten_operation(target)
    if found is None:
        _refuse_other(target)
        return
    name = base_name(found[0])
    for operations, cause in _CAUSES:
        if name in operations:
            raise CheckpointError(f"its graph calls aten.{found[0]}: {cause}")
    if not is_allowed(*found):
        raise UnsafeFileError(
            f"its graph calls {shown(target)}, which is not among the ATen operations that are "
            "read; nothing was run"
        )


def _refuse_other(target: str) -> None:
    for region, cause in _REGIONS.items():
        if target.endswith(f".{region}"):
            raise CheckpointError(
                f"its graph holds a region of its own ({cause}); export it inside "
                "`with torch.no_grad():`, or save it with engine.save_program"
            )
    if target.startswith("torch.ops.higher_order."):
        raise CheckpointError(
            f"its graph calls {shown(target)}: control flow with graphs of its own is not read"
        )
    raise UnsafeFileError(
        f"its graph calls {shown(target)}, which is no ATen operation; nothing was run"
    )
