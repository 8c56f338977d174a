"""Rewrites reading by constant numbers that follow one another as the slice that it is.

`x[..., [-2], :]` and `x[:, torch.arange(2, 5)]` are traced as gathers by a tensor of numbers. Where
the graph itself holds the numbers and they are a run (4, 5, 6), a slice says the same and says
which units are read. Numbers that depend on inputs or parameters, that leave a run, or that stand
beside other indices are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

aten = torch.ops.aten
NUMBERS = (torch.int64, torch.int32)
GATHERS: Mapping[object, tuple[str, ...]] = MappingProxyType(
    {
        aten.index.Tensor: ("indices",),
        aten._unsafe_index.Tensor: ("indices",),
        aten.index_select.default: ("dim", "index"),
    }
)
"""Op → its arguments after the tensor that it reads."""

SAME = frozenset((aten.lift_fresh_copy.default, aten.clone.default, aten.detach.default))
"""Ops after which a tensor of numbers holds the same numbers."""

ROW_MAJOR: Mapping[str, Argument] = MappingProxyType({"memory_format": torch.contiguous_format})

Run = tuple[int, int]
"""Start and end of a stretch of one dimension."""


def slice_runs(graph: fx.Graph, constants: Mapping[str, Tensor]) -> None:
    """Replace gathers by constant runs with slices, copied as gathers are.

    Args:
        graph: rewritten in place.
        constants: placeholder name → tensor.
    """
    for node in list(graph.nodes):
        found = _indexed(node)
        if found is None:
            continue
        source, dim, numbers = found
        run = _run(_values(numbers, constants), source.meta["val"].shape[dim])
        if run is not None and _is_row_major(node.meta["val"]):
            _replace(graph, node, source, dim, run)


def _indexed(node: fx.Node) -> tuple[fx.Node, int, fx.Node] | None:
    """Return the tensor, dimension and numbers of a gather along one dimension."""
    if node.target not in GATHERS:
        return None
    arguments = dict(zip(("self", *GATHERS[node.target]), node.args, strict=False)) | node.kwargs
    source, indices = arguments["self"], arguments.get("indices")
    assert isinstance(source, fx.Node)
    if isinstance(indices, Sequence):
        given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    else:
        dim, rank = arguments["dim"], source.meta["val"].dim()
        assert isinstance(dim, int)
        given = [(dim % rank, arguments["index"])] if rank else []
    if len(given) != 1:
        return None
    ((dim, numbers),) = given
    if not isinstance(numbers, fx.Node):
        return None
    value = numbers.meta["val"]
    return (source, dim, numbers) if value.dim() == 1 and value.dtype in NUMBERS else None


def _values(numbers: fx.Node, constants: Mapping[str, Tensor]) -> list[int]:
    """Return the numbers that a node holds whatever the inputs are; none where they depend."""
    while numbers.target in SAME and isinstance(numbers.args[0], fx.Node):
        numbers = numbers.args[0]
    if numbers.op == "placeholder":
        held = constants.get(numbers.name)
        return [] if held is None else held.tolist()
    if numbers.target not in (aten.arange.default, aten.arange.start, aten.arange.start_step):
        return []
    if not all(type(end) is int for end in numbers.args):
        return []
    return list(range(*numbers.args))  # type: ignore[arg-type]


def _run(numbers: Sequence[int], size: object) -> Run | None:
    """Return the stretch that numbers are, counted from the front; None where they are none."""
    if not numbers or not isinstance(size, int):
        return None
    places = [number + size if number < 0 else number for number in numbers]
    start, stop = places[0], places[0] + len(places)
    inside = start >= 0 and stop <= size
    return (start, stop) if inside and places == list(range(start, stop)) else None


def _is_row_major(value: Tensor) -> bool:
    """Return whether a gather's result lies in memory as a copied slice does."""
    step = 1
    for size, stride in zip(reversed(value.shape), reversed(value.stride()), strict=True):
        if size != 1 and stride != step:
            return False
        step = step * size
    return True


def _replace(graph: fx.Graph, node: fx.Node, source: fx.Node, dim: int, run: Run) -> None:
    with graph.inserting_before(node):
        stretch = graph.call_function(aten.slice.Tensor, (source, dim, *run))
        copy = graph.call_function(aten.clone.default, (stretch,), dict(ROW_MAJOR))
    with torch.no_grad():
        stretch.meta["val"] = source.meta["val"].narrow(dim, run[0], run[1] - run[0])
    copy.meta.update(node.meta)
    node.replace_all_uses_with(copy)
    graph.erase_node(node)
