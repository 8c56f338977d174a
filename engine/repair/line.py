"""The loss along the line between two models, every point of it repaired."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.landscape import Plan, Runner, Samples, Span, Tally, Task, evaluate, plain
from engine.landscape.statistics import RESET_BATCH
from engine.program import Program
from engine.repair.workshop import Point, Workshop


def repaired_line(
    program: Program,
    ends: Sequence[Mapping[str, Tensor]],
    lambdas: Sequence[float],
    dataset: Samples,
    inputs: tuple[Tensor, ...],
    *,
    repairs: Collection[str],
    targets: Tensor | None = None,
    batch_size: int = RESET_BATCH,
    evaluation_batch: int | None = None,
    progress: Callable[[int], None] | None = None,
    check: Callable[[], None] = lambda: None,
    device: torch.device | str = "cpu",
) -> Tally:
    """Return the sums over all samples at points of the line, each repaired by itself.

    Args:
        program: the model.
        ends: two models that are aligned already.
        lambdas: places on the line, [G]; 0 is the first model, 1 the second.
        dataset: samples on which the loss is taken.
        inputs: training inputs, one tensor [N, *shape] per input of the program.
        repairs: keys of `REPAIRS`; none leaves the points as they are.
        targets: labels of the training inputs, for the temperature.
        batch_size: the most samples that normalise each other.
        evaluation_batch: samples at a time when the loss is taken; None chooses.
        progress: called with the number of finished points.
        check: called before each batch; what it raises ends the work.
        device: where to compute.

    Raises:
        RepairError, LandscapeError, ProgramError: see `repair`.
    """
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
    samples = _Moved.of(dataset, workshop.span.dtype, device)
    tallies = []
    for place in lambdas:
        point = workshop.at((1 - float(place), float(place)))
        tallies.append(evaluate_point(program, point, samples, evaluation_batch, check, device))
        if progress is not None:
            progress(len(tallies))
    return Tally.concat(tallies)


def evaluate_point(
    program: Program,
    point: Point,
    dataset: Samples,
    batch_size: int | None = None,
    check: Callable[[], None] = lambda: None,
    device: torch.device | str = "cpu",
) -> Tally:
    """Return the tally of one repaired point, G = 1."""

    def should_stop() -> bool:
        check()
        return False

    return evaluate(
        program,
        Span(("repaired",), (point.params,)),
        torch.ones(1, 1, dtype=torch.float64),
        dataset,
        batch_size=batch_size,
        should_stop=should_stop,
        device=device,
        plan=plain if point.divisor == 1 else _divided(point.divisor),
    )


def _divided(divisor: float) -> Plan:
    """Return a plan that divides the logits of every point by a number."""

    def plan(task: Task) -> Runner:
        return _Divided(plain(task), divisor)

    return plan


class _Divided:
    """A runner whose logits are divided by a number."""

    def __init__(self, runner: Runner, divisor: float) -> None:
        self.points = runner.points
        self._runner, self._divisor = runner, divisor

    def logits(self, coefficients: Tensor) -> Iterator[tuple[slice, Tensor]]:
        for samples, outputs in self._runner.logits(coefficients):
            yield samples, outputs / self._divisor


@dataclass(frozen=True)
class _Moved:
    """Samples on the device, moved once for all points."""

    inputs: tuple[Tensor, ...]
    targets: Tensor

    @classmethod
    def of(cls, dataset: Samples, dtype: torch.dtype, device: torch.device | str) -> _Moved:
        given = dataset.inputs
        tensors = given if isinstance(given, tuple) else (given,)
        inputs = tuple(t.to(device, dtype if t.is_floating_point() else None) for t in tensors)
        return cls(inputs, dataset.targets.to(device))
