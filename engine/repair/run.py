"""One merged model, repaired: a plain checkpoint of the same tensors as its inputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import RepairError
from engine.landscape.statistics import RESET_BATCH
from engine.program import Program
from engine.repair.obstacles import obstacle
from engine.repair.workshop import Point, Workshop

KNOWN_BY_HEART = 0.985
"""From this share of right answers on, a temperature is said to be doubtful. Measured merges: at
.982 it lowered the test loss, at .989 it raised it (docs/merging.md)."""

__all__ = ["Repaired", "obstacle", "repair"]


@dataclass(frozen=True)
class Repaired:
    """A merged and repaired model.

    Attributes:
        params: every tensor of the program, on the CPU, in the precision of the first model.
        temperature: what the logits are divided by; 1 where no temperature was asked for.
        seconds: wall time.
        folded: whether the weights divide by the temperature already; where not, the logits that
            they give are still to be divided by it.
        notes: one sentence for each kind of layer that a repair had to leave alone.
    """

    params: Mapping[str, Tensor]
    temperature: float
    seconds: float
    folded: bool = True
    notes: tuple[str, ...] = ()


def repair(
    program: Program,
    ends: Sequence[Mapping[str, Tensor]],
    weights: Sequence[float],
    inputs: tuple[Tensor, ...],
    *,
    repairs: Collection[str],
    targets: Tensor | None = None,
    batch_size: int = RESET_BATCH,
    check: Callable[[], None] = lambda: None,
    device: torch.device | str = "cpu",
) -> Repaired:
    """Return the point Σ w_k·end_k, repaired.

    Args:
        program: the model.
        ends: K models that are aligned already; never written to.
        weights: one per model, [K], summing to 1.
        inputs: training inputs, one tensor [N, *shape] per input of the program.
        repairs: keys of `REPAIRS`; they are applied in a fixed order, and none is allowed.
        targets: labels of the inputs, for the temperature.
        batch_size: the most samples that normalise each other.
        check: called before each batch; what it raises ends the repair.
        device: where to compute.

    Raises:
        RepairError: a repair is unknown, does not apply, or lacks labels or samples; a repaired
            tensor does not fit in its precision.
        LandscapeError: models or weights do not fit together.
        ProgramError: a model lacks a tensor of the program.
    """
    start = time.perf_counter()
    workshop = Workshop(
        program,
        ends,
        inputs,
        repairs=repairs,
        targets=targets,
        batch_size=batch_size,
        check=check,
        device=device,
    )
    point = workshop.at(weights)
    if math.isnan(point.temperature):
        raise RepairError(
            "The merged model gives logits on the training samples that are NaN or infinite, so "
            "no temperature can be fitted; look at both models and at the samples."
        )
    first = program.named(ends[0])
    params = {name: _as_stored(name, point.params[name], first[name].dtype) for name in first}
    return Repaired(
        params=params,
        temperature=point.temperature,
        seconds=time.perf_counter() - start,
        folded=point.folded,
        notes=(*workshop.notes, *_by_heart(point)),
    )


def _by_heart(point: Point) -> tuple[str, ...]:
    """Return what to say of a temperature that was fitted where next to nothing is wrong."""
    if not point.accuracy > KNOWN_BY_HEART:
        return ()
    return (
        f"The merged model has {100 * point.accuracy:.1f} % of the training samples right: a "
        "temperature fitted on what a model knows by heart can make it too sure of everything "
        "else. Compare the test loss with and without it.",
    )


def _as_stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor on the CPU in the precision of its checkpoint."""
    # A copy made here can be trained further: those made in inference mode cannot.
    stored = tensor.to("cpu", dtype, copy=True)
    if bool(tensor.isfinite().all()) and not bool(stored.isfinite().all()):
        raise RepairError(
            f"The repaired {name} holds numbers too large for {dtype}; "
            f"store the models in float32 and repair them again."
        )
    return stored
