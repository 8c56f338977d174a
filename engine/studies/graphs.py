"""Whether two checkpoints that each carry a graph are of one network."""

from __future__ import annotations

import torch

from engine.checkpoints import Checkpoint
from engine.errors import MismatchError
from engine.program import Program, program_of

SAMPLES = 8
TOLERANCE = 1e-5
"""Of the largest output, in float64: what another order of summation may change."""


def check_same_graph(a: Checkpoint, b: Checkpoint) -> None:
    """Check that two graphs compute the same of the same weights.

    Graphs that were written alike are the same; others (by two versions of torch, say) are run
    with B's weights on random inputs. A checkpoint without a graph fits any.

    Raises:
        MismatchError: the graphs take other inputs, or their outputs differ.
    """
    if a.graph is None or b.graph is None or a.graph == b.graph:
        return
    ours, theirs = program_of(a), program_of(b)
    if ours.fingerprint == theirs.fingerprint:
        return
    same_inputs = [(spec.shape, spec.dtype) for spec in ours.inputs] == [
        (spec.shape, spec.dtype) for spec in theirs.inputs
    ]
    if not same_inputs or not _agree(ours, theirs, b):
        raise MismatchError(
            f"{a.name} and {b.name} have the same tensors, but their graphs compute different "
            "functions; export both from the same module."
        )


def _agree(ours: Program, theirs: Program, checkpoint: Checkpoint) -> bool:
    inputs = theirs.sample_inputs(SAMPLES, torch.Generator().manual_seed(0), torch.float64)
    params = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.tensors.items()
    }
    with torch.no_grad():
        found, expected = (program(params, *inputs) for program in (ours, theirs))
    if found.shape != expected.shape:
        return False
    return bool(((found - expected).abs() <= TOLERANCE * expected.abs().max()).all())
