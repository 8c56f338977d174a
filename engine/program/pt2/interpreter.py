"""Running the steps of a graph that was read as data: one loop over ATen operations.

Only what `operators` lists is looked up. An operation that does not exist here, takes other
arguments, or gives other results than the graph says is told by its node.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from engine.checkpoints.admission import reason
from engine.checkpoints.pt2 import SYMBOLIC, Graph, Ref, Step, aten_operation
from engine.errors import CheckpointError

Operation = Callable[..., Any]
Check = Callable[[Step, Any], None]

_ARITHMETIC: Mapping[str, Operation] = MappingProxyType(
    {
        **{
            target: getattr(operator, target.removeprefix("_operator."))
            for target in SYMBOLIC
            if target.startswith("_operator.")
        },
        **{
            target: getattr(torch, target.removeprefix("torch."))
            for target in SYMBOLIC
            if target.startswith("torch.")
        },
        "math.trunc": math.trunc,
    }
)


class Machine:
    """A graph with its operations looked up: `machine(values) -> logits`.

    Raises:
        CheckpointError: an operation is unknown to this torch, or takes other arguments.
    """

    def __init__(self, graph: Graph) -> None:
        self._calls = tuple((step, *_looked_up(step)) for step in graph.steps)
        self._output = graph.output
        self._literals = graph.literals

    def __call__(self, values: Mapping[str, Any], check: Check | None = None) -> Any:
        """Return the output.

        Args:
            values: what every weight, constant and input of the graph is, by its name there.
            check: looks at each step's result, and raises where it will not do.
        """
        known = {**self._literals, **values}
        for step, call, positional, named in self._calls:
            args = [_resolved(value, known) for value in positional]
            kwargs = {name: _resolved(value, known) for name, value in named.items()}
            result = call(*args, **kwargs)
            if check is not None:
                check(step, result)
            _keep(step, result, known)
        return known[self._output.name]


def _looked_up(step: Step) -> tuple[Operation, tuple[Any, ...], Mapping[str, Any]]:
    """Return an operation, its positional and its named arguments."""
    if step.target in _ARITHMETIC:
        return _ARITHMETIC[step.target], tuple(value for _, value, _ in step.arguments), {}
    found = aten_operation(step.target)
    assert found is not None, "the graph was read"
    if found == ("detach_", "default"):
        found = ("detach", "default")  # the same without gradients, and fit for views too
    packet = getattr(torch.ops.aten, found[0], None)
    overload = None if packet is None else getattr(packet, found[1], None)
    if not isinstance(overload, torch._ops.OpOverload):
        raise CheckpointError(
            f"its node {step.name} calls aten.{found[0]}.{found[1]}, which this torch "
            f"({torch.__version__}) does not have"
        )
    return overload, *_bound(step, overload)


def _bound(
    step: Step, overload: torch._ops.OpOverload
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the arguments as the operation's schema has them: positional ones without a gap."""
    given = {name: (value, by_name) for name, value, by_name in step.arguments}
    positional: list[Any] = []
    gap = False
    for argument in overload._schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write and argument.is_out:
            raise CheckpointError(f"its node {step.name} writes into an argument")
        if argument.name not in given or given[argument.name][1] or argument.kwarg_only:
            gap = True
        elif not gap:
            positional.append(given.pop(argument.name)[0])
    known = {argument.name for argument in overload._schema.arguments}
    if unknown := [name for name in given if name not in known]:
        raise CheckpointError(
            f"its node {step.name} gives {overload} the argument {unknown[0]!r}, which it does not "
            "take"
        )
    return tuple(positional), {name: value for name, (value, _) in given.items()}


def _resolved(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return known[value.name]
    if isinstance(value, tuple):
        return [_resolved(item, known) for item in value]
    return value


def _keep(step: Step, result: Any, known: dict[str, Any]) -> None:
    """Store a step's result under the names that the graph gives it."""
    results = (result,) if len(step.outputs) == 1 else result
    fits = isinstance(results, tuple | list) and len(results) == len(step.outputs)
    for output, value in zip(step.outputs, results, strict=True) if fits else ():
        if isinstance(output, str):
            fits = fits and not isinstance(value, tuple | list)
            known[output] = value
        elif output is not None:
            fits = fits and isinstance(value, tuple | list) and len(value) == len(output)
            known.update(zip(output, value, strict=False) if fits else ())
    if not fits:
        raise CheckpointError(
            f"its node {step.name} has other results than {step.target.removeprefix('torch.ops.')}"
        )


def explained(step: Step | None, error: BaseException) -> CheckpointError:
    """Return what to tell of an error that an operation raised."""
    where = "its graph" if step is None else f"its node {step.name} ({step.target[10:]})"
    return CheckpointError(f"{where} cannot be computed: {reason(error)}")
