"""The straight-through estimator: the permutation whose midpoint has the lowest loss.

Git Re-Basin's third method (Ainsworth et al. 2022, arXiv 2209.04836, section 3.3): minimise the
loss at ½(A + proj B̃) over weights B̃ that start at A. The projection takes B̃ to the permuted B
closest to it, by weight matching that starts from the last projection; gradients pass through
it as if it were not there. B̃ follows SGD with momentum; the permutation with the lowest loss
is kept. The first projection, that of A, is what weight matching finds.

The authors compare the losses of different batches. Here every permutation that comes up is
judged on the same samples, drawn once, so the best one is not the luckiest batch's.

Needs inputs and targets. Does not handle programs that cannot be differentiated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.descent import Climber, coordinate_descent
from engine.matching.midpoint import Batch, Midpoints, batches, check_data
from engine.matching.result import MatchResult, StopReason
from engine.matching.weight_matching import first_start
from engine.symmetry import Perms, Permutation, Symmetry

if TYPE_CHECKING:
    from engine.program import Program

METHOD = "ste"


@dataclass(frozen=True)
class StraightThroughMatch(MatchResult):
    """A MatchResult of the straight-through estimator.

    `sweeps` counts the steps; `trace` is the objective ⟨a, π(b)⟩ of the identity and of each
    new lowest loss, and may fall: it is not what is optimised.

    Attributes:
        losses: the midpoint's loss on the judging samples, for the projection before each step
            and after the last one; equal projections have equal losses.
        loss_identity: the same for the identity.
        best_step: the first step whose projection has the lowest loss.
        judged_on: number of judging samples.
    """

    losses: tuple[float, ...]
    loss_identity: float
    best_step: int
    judged_on: int


def straight_through(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...],
    targets: Tensor,
    *,
    steps: int = 200,
    batch_size: int = 500,
    rate: float = 1e-2,
    momentum: float = 0.9,
    judged_on: int = 2000,
    max_sweeps: int = 100,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> StraightThroughMatch:
    """Return the permutation of b whose midpoint with a has the lowest loss that was met.

    Args:
        program: the model.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        inputs: one tensor [samples, *shape] per input of the program.
        targets: of the samples: classes [N], tokens [N, T] or values [N, …].
        steps: of SGD, at least 1.
        batch_size: samples per step, drawn without replacement until all were seen.
        rate: of SGD.
        momentum: of SGD.
        judged_on: at most so many samples judge the projections.
        max_sweeps: of each projection.
        seed: of the batches, the judging samples and the visiting orders.
        progress: called after each step with its number and the current midpoint's loss.
        should_stop: asked before each step and group; the best so far is returned.
        device: where everything runs.

    Raises:
        MatchingError: options, models or data do not fit, or the loss is not finite.
        NonFiniteError: a model holds NaN or infinite values.
    """
    began = time.perf_counter()
    _check_options(steps=steps, batch_size=batch_size, judged_on=judged_on, max_sweeps=max_sweeps)
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    check_data("the straight-through estimator", given, targets)
    pair = Midpoints(program, symmetry, a, b, torch.device(device))
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(targets), generator=generator)[:judged_on]
    judges = pair.batch(given, targets, chosen)
    search = _Search(pair, judges, generator, batch_size, max_sweeps, should_stop)
    drawn = batches(len(targets), batch_size, generator)
    for step in range(1, steps + 1):
        if not symmetry.groups or search.stopped():
            break
        search.descend(pair.batch(given, targets, next(drawn)), rate, momentum)
        if search.cancelled:
            break
        if progress is not None:
            progress(step, search.losses[-1])
    reason = StopReason.CANCELLED if search.cancelled else StopReason.ALL_STEPS
    return StraightThroughMatch(
        permutation=Permutation(search.best, symmetry.within),
        objective=pair.objective(search.best),
        objective_identity=search.trace[0],
        trace=tuple(search.trace),
        sweeps=len(search.losses) - 1,
        restarts=(pair.objective(search.best),),
        stop_reason=reason if symmetry.groups else StopReason.NO_SYMMETRY,
        seconds=time.perf_counter() - began,
        method=METHOD,
        seed=seed,
        losses=tuple(search.losses),
        loss_identity=search.loss_identity,
        best_step=search.losses.index(min(search.losses)),
        judged_on=len(chosen),
    )


class _Search:
    """B̃ on its way, its projections and the best of them."""

    def __init__(
        self,
        pair: Midpoints,
        judges: Batch,
        generator: torch.Generator,
        batch_size: int,
        max_sweeps: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._pair = pair
        self._judges = judges
        self._generator = generator
        self._batch_size = batch_size
        self._max_sweeps = max_sweeps
        self._should_stop = should_stop
        self._free = {name: pair.a[name].clone() for name in pair.moved}
        self._speed = {name: torch.zeros_like(t) for name, t in self._free.items()}
        self.cancelled = False
        problem = pair.problem(self._free)
        identity = problem.identity()
        self.trace = [pair.objective(identity)]
        self.loss_identity = self._judge(identity)
        with torch.inference_mode(), Climber(problem, should_stop=should_stop) as climber:
            self.perms = self.best = first_start(climber)[0]
        self.losses: list[float] = []
        self._project()

    def stopped(self) -> bool:
        """Ask whether to stop, and remember."""
        self.cancelled = self.cancelled or (self._should_stop is not None and self._should_stop())
        return self.cancelled

    def descend(self, batch: Batch, rate: float, momentum: float) -> None:
        """Move B̃ against the gradient at the midpoint, and project it anew."""
        midpoint = self._pair.midpoint(self.perms)
        leaves = [midpoint[name].requires_grad_() for name in self._free]
        with torch.enable_grad():
            loss = self._pair.loss(midpoint, batch)
        if not bool(loss.isfinite()):
            raise MatchingError(
                f"the midpoint's loss became {float(loss)}; look at the data and both models"
            )
        slopes = torch.autograd.grad(loss, leaves, allow_unused=True)
        for (name, free), slope in zip(self._free.items(), slopes, strict=True):
            if slope is not None:  # the projection is half of the midpoint
                self._speed[name].mul_(momentum).add_(slope, alpha=0.5)
                free.sub_(self._speed[name], alpha=rate)
        self._project()

    def _project(self) -> None:
        """Take the permuted b closest to B̃, starting from the last one; keep the best."""
        with torch.inference_mode():
            descent = coordinate_descent(
                self._pair.problem(self._free),
                self.perms,
                self._generator,
                max_sweeps=self._max_sweeps,
                should_stop=self._should_stop,
            )
        same = all(torch.equal(p, self.perms[name]) for name, p in descent.perms.items())
        self.cancelled = descent.stop_reason is StopReason.CANCELLED
        self.perms = descent.perms
        loss = self.losses[-1] if same and self.losses else self._judge(self.perms)
        if loss < min(self.losses, default=torch.inf):
            self.best = self.perms
            self.trace.append(self._pair.objective(self.perms))
        self.losses.append(loss)

    def _judge(self, perms: Perms) -> float:
        """Return the midpoint's loss on the judging samples."""
        return self._pair.mean_loss(perms, self._judges, self._batch_size)


def _check_options(**options: int) -> None:
    for option, value in options.items():
        if value < 1:
            raise MatchingError(f"{option} must be at least 1, not {value}")
