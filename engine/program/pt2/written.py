"""An exported graph in the operations that `.pt2` files are read with.

Two kinds of operation occur in forwards and are not read from files: those that show memory which
nobody has written (`torch.empty`, filled later), and the one with which `transformers`
multiplies rows by the matrix of their expert where torch's own cannot be traced. Both have twins
that compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from engine.program.functional import decomposed

GROUPED = "transformers::grouped_mm_fallback"


def zeros_like(given: Tensor, **options: Any) -> Tensor:
    """Zeros, one of the things that memory nobody has written may hold."""
    return torch.full_like(given, 0, **_kept(options))


def new_zeros(given: Tensor, size: list[int], **options: Any) -> Tensor:
    """Zeros of the given precision."""
    return given.new_full(size, 0, **_kept(options))


def zeros(size: list[int], **options: Any) -> Tensor:
    """Zeros of any size."""
    kept: dict[str, Any] = {"dtype": torch.get_default_dtype(), **_kept(options)}
    return torch.full(size, 0, **kept)


def grouped_product(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Multiply each row by its expert's matrix: by all of them, where the others' rows are 0.

    Args:
        rows: [rows, inside], in order of their expert.
        weight: [experts, inside, outside].
        ends: [experts], where each expert's rows end.

    Returns:
        [rows, outside].
    """
    before = torch.arange(rows.shape[0], device=rows.device) < ends[:, None]
    counted = before.to(rows.dtype)
    own = counted - torch.nn.functional.pad(counted[:-1], (0, 0, 1, 0))
    return torch.bmm(rows * own[:, :, None], weight).sum(0)


def _kept(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that say what kind of tensor is made, without those about memory."""
    return {name: options[name] for name in ("dtype", "device") if options.get(name) is not None}


_TWINS: dict[str, Callable[..., Tensor]] = {
    "aten::empty_like": zeros_like,
    "aten::new_empty": new_zeros,
    "aten::empty.memory_format": zeros,
    GROUPED: grouped_product,
}


def in_readable_operations(exported: ExportedProgram) -> ExportedProgram:
    """Return an exported program that calls twins of operations which no reader takes."""
    found: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
        node.target: twin
        for node in exported.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
        and (twin := _TWINS.get(node.target.name().removesuffix(".default"))) is not None
    }
    return decomposed(exported, found) if found else exported
