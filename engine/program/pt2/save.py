"""Writing a `.pt2` that any copy of Basinscope, and `torch.export.load`, can read.

The module is exported as `capture` does it (eval mode, a batch of any size). The file is read back
and compared with the module before it takes its place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from engine.errors import CaptureError
from engine.program.capture import checked_inputs, export_module
from engine.program.pt2.read import read_program
from engine.program.pt2.written import in_readable_operations

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
COARSE = 5e-2
"""For half precision: what different orders of summation can explain, of the largest output."""


def save_program(
    module: nn.Module, example_inputs: Tensor | tuple[Tensor, ...], path: str | Path
) -> None:
    """Write a module, architecture and weights, to one `.pt2` file; the module is left as it was.

    Args:
        module: as for `capture`.
        example_inputs: one tensor or a tuple, each of shape [batch, …]; they are kept in the file.
        path: where to; it must end in `.pt2`.

    Raises:
        CaptureError: the module cannot be traced, or the file would not compute what it does.
        CheckpointError: its graph uses something that would not be read again.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".pt2":
        raise CaptureError(f"{path.name} must end in .pt2")
    inputs = checked_inputs(module, example_inputs)
    exported = in_readable_operations(export_module(module, inputs))
    _forget_sources(exported)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem[:64]}.") as folder:
        temporary = Path(folder) / path.name
        torch.export.save(exported, temporary)
        _check_same(module, inputs, temporary)
        temporary.replace(path)


def _forget_sources(exported: ExportedProgram) -> None:
    """Drop the lines of source code, and the paths to them, that tracing writes down."""
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)


def _check_same(module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Read the file back and compare what it computes with the module."""
    program, params = read_program(path)
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            expected = _logits(module(*inputs)).cpu()
            found = program(params, *(tensor.cpu() for tensor in inputs))
    finally:
        for part in training:
            part.training = True
    allowed = TOLERANCE.get(expected.dtype, COARSE) * max(1.0, float(expected.abs().max()))
    if expected.shape != found.shape or not bool(((expected - found).abs() <= allowed).all()):
        raise CaptureError(
            f"{type(module).__name__} computes something else once it is exported; nothing was "
            "written"
        )


def _logits(output: Any) -> Tensor:
    """Return the logits among what a forward returned, as `capture` chooses them."""
    if isinstance(output, Mapping):
        output = output["logits"] if "logits" in output else next(iter(output.values()))
    return output if isinstance(output, Tensor) else output[0]
