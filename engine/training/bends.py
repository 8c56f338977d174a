"""The bends of a curve between two models, trained so that the loss is low all along it.

From Garipov et al. 2018 (arXiv 1802.10026), section 3.1, with their code's uniform places: each
step draws one t from U[0, 1] and a batch, and moves the bends against the gradient of the loss at
φ(t), which for bend k is its weight in φ(t) times the gradient there. The ends never move. Only
trained parameters do: BatchNorms use their batch's own statistics meanwhile, and other buffers
stay on the straight line. Data are not augmented.

The draws of an epoch depend on the seed and its number alone, so that a training goes on from
what was kept of it and ends with the bits of an undisturbed one. It holds the two ends, one point
with its gradient, the bends, and the optimiser's one or two copies of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.errors import CancelledError, TrainingError
from engine.landscape.curve import curve, straight_bends
from engine.program import Program
from engine.training.batch_loss import checked_loss
from engine.training.bend_options import BendOptions
from engine.training.bend_records import BendProgress, BendResult, Samples
from engine.training.bend_state import restored, state_arrays
from engine.training.flat import Flat
from engine.training.schedule import hold_then_fall
from engine.training.train import seeded

MOMENTUM = 0.9
KEPT = 25
"""How often, at most, a training is kept: a killed one loses a twenty-fifth of its steps."""

Tensors = Mapping[str, Tensor]
Kept = Mapping[str, np.ndarray]


def train_bends(
    program: Program,
    a: Tensors,
    end: Tensors,
    samples: Samples,
    options: BendOptions,
    *,
    start: Sequence[Tensors] | None = None,
    kept: Kept | None = None,
    keep: Callable[[Kept], None] | None = None,
    progress: Callable[[BendProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> BendResult:
    """Train the bends of a curve from one model to another.

    Args:
        program: the model.
        a, end: the two ends, which stay as they are.
        samples: training data.
        options: everything else that changes the result.
        start: the bends to begin with; None takes points of the straight line, evenly spaced.
        kept: what `keep` was given by the same training; None begins anew.
        keep: takes what is needed to go on, some 25 times and when cancelled.
        progress: called after every step.
        should_stop: asked before every step.
        device: where to compute.

    Raises:
        TrainingError: samples, starts or the model do not fit.
        ProgramError: an end lacks a tensor of the program.
        LandscapeError: the targets do not fit the model's outputs.
        CancelledError: `should_stop` said so; what was reached is handed to `keep` first.
    """
    for model in (a, end, *(start or ())):
        program.check(model)
    _check_start(start, options)
    training = _Training(program, (a, end), samples, options, start, torch.device(device))
    training.restore(kept)
    every = math.ceil(training.steps / KEPT)
    for step in range(training.done, training.steps):
        if should_stop is not None and should_stop():
            if keep is not None and training.done:
                keep(training.state())
            raise CancelledError(f"cancelled in step {step + 1} of the curve's training")
        if training.diverged is not None:
            break
        training.step(step)
        if progress is not None:
            progress(BendProgress(step + 1, training.steps, training.losses[-1]))
        last = training.done == training.steps or training.diverged is not None
        if keep is not None and (last or training.done % every == 0):
            keep(training.state())
    return training.result()


def _check_start(start: Sequence[Tensors] | None, options: BendOptions) -> None:
    if start is not None and len(start) != options.bends:
        raise TrainingError(
            f"{len(start)} starts were given for {options.bends} bends; give one for each"
        )


class _Training:
    """A training under way: flat ends, flat bends, their optimiser, and what was seen so far."""

    def __init__(
        self,
        program: Program,
        ends: tuple[Tensors, Tensors],
        samples: Samples,
        options: BendOptions,
        start: Sequence[Tensors] | None,
        device: torch.device,
    ) -> None:
        self._options, self._program = options, program
        self._per_epoch = options.steps_per_epoch(len(samples.targets))
        self.steps = self._per_epoch * options.epochs
        self._flat = Flat.of(program, ends)
        self._ends = tuple(self._flat.vector(model, device) for model in ends)
        self._buffers = [self._flat.others(model, device) for model in ends]
        first, last = self._ends
        straight = [torch.lerp(first, last, share) for share in straight_bends(options.bends)]
        given = [self._flat.vector(model, device) for model in start or ()]
        self._bends = torch.stack(given or straight).requires_grad_()
        self._optimiser = _optimiser(self._bends, options)
        self._schedule = hold_then_fall(options.rate, self.steps)
        self._samples = _moved(samples, self._flat.dtype, device)
        self._run = _with_own_statistics(program)
        self._drawn: tuple[int, Tensor, Tensor] | None = None
        self._checked = False
        self.losses: list[float] = []
        self.diverged: str | None = None

    @property
    def done(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    def step(self, step: int) -> None:
        """Take one step, or say why it cannot be taken."""
        place, chosen = self._draw(step)
        weights = curve(self._options.shape, self._options.bends, [place])[0].tolist()
        point = self._point(weights).requires_grad_()
        loss = self._loss(point, place, chosen)
        value = float(loss.detach())
        self.losses.append(value)
        if not math.isfinite(value):
            self.diverged = self._why(step, place, f"the loss became {value}")
            return
        (slope,) = torch.autograd.grad(loss, point)
        if not bool(slope.isfinite().all()):
            self.losses[-1] = math.nan
            self.diverged = self._why(step, place, "the gradient is no longer finite")
            return
        if self._options.weight_decay:
            slope = slope.add_(point.detach(), alpha=self._options.weight_decay)
        self._bends.grad = torch.stack([weight * slope for weight in weights[1:-1]])
        for group in self._optimiser.param_groups:
            group["lr"] = self._schedule(step)
        self._optimiser.step()

    def state(self) -> dict[str, np.ndarray]:
        """Return what is needed to go on."""
        return state_arrays(self._bends, self._optimiser, self.losses, self.diverged)

    def restore(self, kept: Kept | None) -> None:
        """Go on from what was kept, where it is of such a training."""
        found = restored(kept, self._bends, self._optimiser, self.steps)
        if found is not None:
            self.losses, self.diverged = list(found.losses), found.diverged

    def result(self) -> BendResult:
        """Return the bends as models."""
        shares = straight_bends(self._options.bends)
        return BendResult(
            bends=tuple(
                self._flat.model(vector, self._at(share))
                for vector, share in zip(self._bends.detach().cpu(), shares, strict=True)
            ),
            losses=np.array(self.losses, dtype=np.float64),
            places=np.array([self._draw(step)[0] for step in range(self.done)]),
            steps=self.steps,
            diverged=self.diverged,
        )

    def _point(self, weights: Sequence[float]) -> Tensor:
        first, last = self._ends
        with torch.no_grad():
            point = first * weights[0]
            for weight, bend in zip(weights[1:-1], self._bends, strict=True):
                point.add_(bend, alpha=weight)
            return point.add_(last, alpha=weights[-1])

    def _loss(self, point: Tensor, place: float, chosen: Tensor) -> Tensor:
        params = self._flat.views(point) | self._at(place)
        inputs = (tensor[chosen] for tensor in self._samples.inputs)
        with torch.enable_grad():
            outputs = self._run(params, *inputs)
            targets = self._samples.targets
            loss = checked_loss(outputs, targets[chosen], None if self._checked else targets)
        self._checked = True
        return loss

    def _at(self, share: float) -> dict[str, Tensor]:
        """Return what is not trained, at a share of the way along the straight line."""
        first, last = self._buffers
        return {
            name: torch.lerp(tensor, last[name], share) if tensor.is_floating_point() else tensor
            for name, tensor in first.items()
        }

    def _draw(self, step: int) -> tuple[float, Tensor]:
        """Return t and the samples of a step."""
        epoch, number = divmod(step, self._per_epoch)
        if self._drawn is None or self._drawn[0] != epoch:
            count = len(self._samples.targets)
            order, at = (
                seeded(self._options.seed, f"curve {what}, epoch {epoch}")
                for what in ("order", "places")
            )
            places = torch.rand(self._per_epoch, generator=at, dtype=torch.float64)
            self._drawn = (epoch, torch.randperm(count, generator=order), places)
        _, order, places = self._drawn
        size = self._options.batch_size
        chosen = order[number * size : (number + 1) * size]
        return float(places[number]), chosen.to(self._samples.targets.device)

    def _why(self, step: int, place: float, what: str) -> str:
        return (
            f"The training diverged in step {step + 1} of {self.steps}, at t = {place:.2f}: "
            f"{what}. Try a lower rate than {self._options.rate:g}."
        )


def _with_own_statistics(program: Program) -> Callable[..., Tensor]:
    if not program.batch_norms:
        return program
    normalising = program.with_batch_statistics()
    return lambda *given: normalising(*given)[0]


def _moved(samples: Samples, dtype: torch.dtype, device: torch.device) -> Samples:
    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    return Samples(tuple(map(move, samples.inputs)), move(samples.targets))


def _optimiser(bends: Tensor, options: BendOptions) -> torch.optim.Optimizer:
    if options.optimiser == "adam":
        return torch.optim.Adam([bends], lr=options.rate)
    return torch.optim.SGD([bends], lr=options.rate, momentum=MOMENTUM)
