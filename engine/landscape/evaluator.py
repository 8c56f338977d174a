"""Loss and accuracy at points of a span: the one place where landscapes are computed.

Points come out in order, each a sum over the same samples (`tally.py`). Memory stays under the
bound stated in `memory.py`; nothing given is written to. What is summed follows from the
targets (`loss.py`): classes, tokens, or values to come close to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from engine.data.task import IGNORED, LANGUAGE
from engine.errors import CancelledError, LandscapeError
from engine.landscape.loss import check_outputs, check_targets, loss_sums, task_for
from engine.landscape.memory import MEMORY_BOUND, choose_batch_size
from engine.landscape.plan import Plan, Repair, Runner, Task, plain
from engine.landscape.span import Span
from engine.landscape.statistics import ResetData
from engine.landscape.tally import Tally, TokenSums
from engine.landscape.tf32 import tf32_products
from engine.program import Program


class Samples(Protocol):
    """What is evaluated on: `engine.data.Dataset`, or anything with the same two tensors."""

    @property
    def inputs(self) -> Tensor | tuple[Tensor, ...]:
        """One tensor [N, *shape], or one per input of the program."""
        ...

    @property
    def targets(self) -> Tensor:
        """Classes int64 [N], tokens int64 [N, T], or floating-point values [N, …]."""
        ...


def evaluate(
    program: Program,
    span: Span,
    coefficients: Tensor,
    dataset: Samples,
    *,
    batch_size: int | None = None,
    reset: ResetData | None = None,
    memory_bound: int = MEMORY_BOUND,
    progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
    plan: Plan = plain,
    tf32: bool = False,
    repair: Repair | None = None,
) -> Tally:
    """Return the sums over all samples at every point.

    Args:
        program: the model.
        span: K models with the program's tensors; further tensors are ignored.
        coefficients: affine weights per point, [G, K]; every row sums to 1.
        dataset: N samples.
        batch_size: samples at a time; None chooses, and the memory bound may lower it. It
            changes the result by rounding only.
        reset: training inputs from which BatchNorm statistics are recomputed at each point;
            None interpolates the statistics like weights. Without effect on other models.
        memory_bound: most bytes of activations (`memory.py`).
        progress: called with the number of finished points.
        should_stop: asked between batches; True ends the evaluation.
        device: where to compute; models and data are moved there once.
        plan: how points are evaluated.
        tf32: whether a CUDA device may round the factors of its products (`tf32.py`).
        repair: what is done to every point, such as `engine.repair.PointRepair`, which resets
            BatchNorm statistics itself.

    Raises:
        LandscapeError: coefficients, data and model do not fit together.
        ProgramError: a model lacks a tensor of the program.
        CancelledError: should_stop said so.
    """
    rows = span.check(coefficients)
    for model in span.models:
        program.check(model)
    used = span.to(device, program.parameters)
    dtype = used.dtype
    inputs, targets = _on(device, dtype, dataset.inputs), dataset.targets.to(device)
    _check_samples(inputs, targets)
    reset = _reset_on(device, dtype, reset) if reset and program.batch_norms else None
    size = choose_batch_size(
        program, batch_size, memory_bound=memory_bound, itemsize=dtype.itemsize
    )
    if reset is not None:
        fitting = choose_batch_size(
            program, reset.batch_size, memory_bound=memory_bound, itemsize=dtype.itemsize
        )
        reset = ResetData(reset.inputs, fitting)
    check = _stopper(should_stop)
    # Made outside inference mode, so that the caller gets ordinary tensors.
    columns = 6 if task_for(targets) is LANGUAGE else 3
    sums = torch.zeros(len(rows), columns, dtype=torch.float64)
    with torch.inference_mode(), tf32_products(tf32, device):
        change = None if repair is None else repair.bound(program, span, device, check)
        runner = plan(Task(program, used, inputs, reset, size, check, change, memory_bound))
        for start in range(0, len(rows), runner.points):
            check()
            group = rows[start : start + runner.points]
            sums[start : start + len(group)] = _sums(runner, group, targets)
            if progress is not None:
                for done in range(start, start + len(group)):
                    progress(done + 1)
    return _tally(sums, targets)


def evaluate_model(
    program: Program,
    params: Mapping[str, Tensor],
    dataset: Samples,
    *,
    batch_size: int | None = None,
    reset: ResetData | None = None,
    memory_bound: int = MEMORY_BOUND,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
    plan: Plan = plain,
    tf32: bool = False,
) -> Tally:
    """Return the tally of one model, G = 1; see `evaluate`."""
    return evaluate(
        program,
        Span(("model",), (params,)),
        torch.ones(1, 1, dtype=torch.float64),
        dataset,
        batch_size=batch_size,
        reset=reset,
        memory_bound=memory_bound,
        should_stop=should_stop,
        device=device,
        plan=plan,
        tf32=tf32,
    )


def _tally(sums: Tensor, targets: Tensor) -> Tally:
    """Return the tally of sums [G, K] over all samples."""
    loss_sum, loss_square_sum, correct, *rest = (column.clone() for column in sums.unbind(1))
    tokens = None
    if rest:
        numbers = (targets != IGNORED).sum(1)
        tokens = TokenSums(int(numbers.sum()), int(numbers.square().sum()), *rest)
    return Tally(loss_sum, loss_square_sum, correct, len(targets), tokens)


def _sums(runner: Runner, coefficients: Tensor, targets: Tensor) -> Tensor:
    """Return the sums over samples that the loss asks for, [P, K] on the CPU."""
    total: Tensor | None = None
    for samples, outputs in runner.logits(coefficients):
        wanted = targets[samples]
        check_outputs(outputs, wanted)
        if total is None:
            check_targets(targets, outputs.shape[-1])
        part = loss_sums(outputs, wanted)
        total = part if total is None else total + part
    assert total is not None  # there is at least one sample
    return total.cpu()


def _on(
    device: torch.device | str, dtype: torch.dtype, inputs: Tensor | tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Return the inputs on the device, floating ones in the precision of the points."""
    tensors = inputs if isinstance(inputs, tuple) else (inputs,)
    return tuple(t.to(device, dtype if t.is_floating_point() else None) for t in tensors)


def _reset_on(device: torch.device | str, dtype: torch.dtype, reset: ResetData) -> ResetData:
    return ResetData(_on(device, dtype, reset.inputs), reset.batch_size)


def _check_samples(inputs: tuple[Tensor, ...], targets: Tensor) -> None:
    counts = [len(tensor) for tensor in (*inputs, targets)]
    if len(set(counts)) != 1 or counts[0] == 0:
        raise LandscapeError(
            f"Data needs one target per sample and at least one sample; there are {counts[0]} "
            f"inputs and targets of shape {list(targets.shape)}."
        )


def _stopper(should_stop: Callable[[], bool] | None) -> Callable[[], None]:
    def check() -> None:
        if should_stop is not None and should_stop():
            raise CancelledError("The evaluation was cancelled.")

    return check
