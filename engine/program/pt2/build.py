"""From an exported graph to a Program.

The graph runs once on tensors that have a shape but no memory, so that nothing is allocated that
the file could have made huge; then it is traced like any module, with a batch of any size. So the
shapes of all values are computed here, and every refusal of `capture` holds for files too.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from engine.checkpoints.admission import byte_size, reason
from engine.checkpoints.pt2 import BATCH_LINE, Architecture, Step, unpack_architecture
from engine.errors import CaptureError, CheckpointError, LimitError
from engine.program.capture import SMALLEST_BATCH, capture
from engine.program.program import Program
from engine.program.pt2.interpreter import Machine, explained
from engine.program.pt2.module import replica

MOST_VALUE_BYTES = 2 << 30
"""Of one value inside the network, for a batch of two."""


def build_exported(graph: bytes, tensors: Mapping[str, Tensor]) -> Program:
    """Return the Program of a checkpoint that carries its graph.

    Args:
        graph: `Checkpoint.graph`.
        tensors: the checkpoint's tensors; on the device "meta" where headers alone were read, and
            then the graph is not run on values.

    Raises:
        CheckpointError: the graph is malformed, or cannot be computed.
        LimitError: a value in it would be too large.
        CaptureError: it is no pure function of its weights and a batch of any size.
    """
    architecture = unpack_architecture(graph)
    hollow = any(tensor.is_meta for tensor in tensors.values())
    if hollow:  # memory that nobody touches is never taken
        tensors = {n: torch.empty(t.shape, dtype=t.dtype) for n, t in tensors.items()}
    _check_runs(architecture, tensors)
    inputs = tuple(
        torch.zeros(SMALLEST_BATCH, *given.shape, dtype=given.dtype)
        for given in architecture.graph.inputs
    )
    try:
        module, names = replica(architecture, tensors)
        program = capture(module, inputs, hollow=hollow)
    except CaptureError as error:
        text = str(error).replace("Replica cannot be traced", "its graph cannot be traced")
        raise CaptureError(text) from error
    except Exception as error:  # a graph that nobody's module gave may surprise torch anywhere
        raise CaptureError(f"its graph cannot be traced: {reason(error)}") from error
    own = {inside: names[inside] for inside in program.parameters if inside in names}
    return program.renamed(own) if own else program


def _check_runs(architecture: Architecture, tensors: Mapping[str, Tensor]) -> None:
    """Run the graph on shapes alone, for two batch sizes."""
    machine = Machine(architecture.graph)
    shapes = [_shape_for(architecture, tensors, machine, size) for size in (2, 3)]
    if shapes[0][:1] != (2,) or shapes[1] != (3, *shapes[0][1:]):
        raise CheckpointError(
            f"for batches of 2 and 3 samples its graph returns {list(shapes[0])} and "
            f"{list(shapes[1])}: its batch is fixed inside; {BATCH_LINE}"
        )


def _shape_for(
    architecture: Architecture, tensors: Mapping[str, Tensor], machine: Machine, batch: int
) -> tuple[int, ...]:
    reached: list[Step] = []

    def check(step: Step, result: object) -> None:
        reached.append(step)
        _check_size(step, result)

    try:
        with FakeTensorMode() as mode, torch.no_grad():
            held = {
                binding.name: mode.from_tensor(
                    (tensors if binding.persistent else architecture.constants)[binding.tensor]
                )
                for binding in architecture.graph.signature.bindings
            }
            given = {
                one.name: torch.empty(batch, *one.shape, dtype=one.dtype)
                for one in architecture.graph.inputs
            }
            result = machine({**held, **given}, check)
    except (CheckpointError, LimitError):
        raise
    except Exception as error:  # torch raises what it likes for arguments that do not fit
        steps = architecture.graph.steps
        raise explained(steps[min(len(reached), len(steps) - 1)], error) from error
    if not isinstance(result, Tensor):
        raise CheckpointError("its graph returns no tensor of logits")
    return tuple(result.shape)


def _check_size(step: Step, result: object) -> None:
    for value in result if isinstance(result, tuple | list) else (result,):
        if isinstance(value, Tensor):
            size = byte_size(tuple(value.shape), value.dtype)
            if size > MOST_VALUE_BYTES:
                raise LimitError(
                    f"its node {step.name} makes a value of {list(value.shape)}: {size:,} bytes, "
                    f"more than the limit of {MOST_VALUE_BYTES:,}"
                )
        elif type(value) is int and not -(1 << 63) <= value < 1 << 63:
            raise LimitError(f"its node {step.name} makes a number of {value.bit_length()} bits")
