"""An exported graph as an `nn.Module` again, with the parameter names of its checkpoint.

Nothing of the file becomes code: names that Python or `nn.Module` could take for something else
are replaced inside, and given back to the Program.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from engine.checkpoints.pt2 import PARAMETER, Architecture
from engine.program.pt2.interpreter import Machine

_PART = re.compile(r"[A-Za-z0-9_]+", re.ASCII)


class Replica(nn.Module):
    """A module whose forward is a `Machine`; built by `replica`."""

    _run: Any = None


def replica(
    architecture: Architecture, tensors: Mapping[str, Tensor]
) -> tuple[nn.Module, dict[str, str]]:
    """Return the module, and the checkpoint's name of each tensor that has another one inside.

    Args:
        architecture: what to compute.
        tensors: the weights, by name; tied ones become one parameter.
    """
    graph = architecture.graph
    bindings = graph.signature.bindings
    names = [binding.tensor for binding in bindings] + list(architecture.ties)
    plain = all(_is_plain(name) for name in names) and not _nested(names)
    inside = {name: name if plain else f"tensor_{i}" for i, name in enumerate(dict.fromkeys(names))}
    root = _with_signature(tuple(given.name for given in graph.inputs))
    places: dict[str, tuple[nn.Module, str]] = {}
    made: dict[str, Any] = {}
    for binding in bindings:
        owner, leaf = _owner(root, inside[binding.tensor])
        places[binding.name] = (owner, leaf)
        first = architecture.ties.get(binding.tensor, binding.tensor)
        held = tensors if binding.persistent else architecture.constants
        if binding.kind == PARAMETER:
            value = made.setdefault(first, _parameter(held[first]))
            owner.register_parameter(leaf, value)
        elif binding.kind == "buffer":
            value = made.setdefault(first, held[first])
            owner.register_buffer(leaf, value, persistent=binding.persistent)
        else:
            setattr(owner, leaf, held[binding.tensor])
    _register_aliases(root, architecture, inside, made, {b.tensor for b in bindings})
    machine = Machine(graph)
    inputs = tuple(given.name for given in graph.inputs)

    def run(*given: Tensor) -> Any:
        values = {name: getattr(owner, leaf) for name, (owner, leaf) in places.items()}
        return machine(values | dict(zip(inputs, given, strict=True)))

    object.__setattr__(root, "_run", run)
    return root, {} if plain else {internal: name for name, internal in inside.items()}


def _with_signature(names: tuple[str, ...]) -> nn.Module:
    """Return an empty module whose forward takes inputs of these names."""

    def forward(self: Any, *inputs: Tensor) -> Any:
        return self._run(*inputs)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)
    return type(Replica.__name__, (Replica,), {"forward": forward})().eval()


def _owner(root: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    owner = root
    for part in path.split(".") if path else ():
        if part not in owner._modules:
            owner.add_module(part, nn.Module())
        owner = owner.get_submodule(part)
    return owner, leaf


def _register_aliases(
    root: nn.Module,
    architecture: Architecture,
    inside: Mapping[str, str],
    made: Mapping[str, Any],
    bound: set[str],
) -> None:
    """Let names that the graph does not read stand for the weight that they are tied to."""
    for alias, first in architecture.ties.items():
        value = made.get(first)
        if alias in bound or value is None:
            continue
        owner, leaf = _owner(root, inside[alias])
        if isinstance(value, nn.Parameter):
            owner.register_parameter(leaf, value)
        else:
            owner.register_buffer(leaf, value)


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=tensor.is_floating_point())


def _nested(names: list[str]) -> bool:
    """Whether a tensor's name is also the path to another tensor."""
    parents = {name[:at] for name in names for at, sign in enumerate(name) if sign == "."}
    return any(name in parents for name in names)


def _is_plain(name: str) -> bool:
    """Whether a name is one that a module's own tensor has."""
    return all(_PART.fullmatch(part) and not hasattr(Replica, part) for part in name.split("."))
