"""The steps of one training: order, forward, backward, rate, records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import CancelledError, TrainingError
from engine.training.options import TrainOptions
from engine.training.recipes import WARMUP_STEPS, Recipe, Shape
from engine.training.records import EpochRecord, TrainProgress, TrainResult
from engine.training.schedule import Schedule, constant, cooldown, warmup_cosine
from engine.training.split import Split

MOMENTUM = 0.9
_EVALUATION_BATCH = 500

Checkpoints = Callable[[int, Mapping[str, Tensor]], None]


@dataclass
class Loop:
    """A training under way; the only mutable parts are the module and its optimiser."""

    options: TrainOptions
    recipe: Recipe
    shape: Shape
    module: nn.Module
    training: Split
    test: Split
    order: torch.Generator
    augmentation: torch.Generator
    progress: Callable[[TrainProgress], None] | None = None
    should_stop: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        self.steps_per_epoch = len(self.training) // self.options.batch_size
        self.steps = self.steps_per_epoch * self.options.epochs
        self.optimiser = _optimiser(self.module, self.options, self.recipe)
        self.schedule = _schedule(self.options, self.recipe, self.steps, self.steps_per_epoch)

    def run(self, checkpoints: Checkpoints | None) -> TrainResult:
        """Train all epochs.

        Raises:
            TrainingError: the loss is no longer finite.
            CancelledError: `should_stop` said so.
        """
        history: list[EpochRecord] = []
        for epoch in range(1, self.options.epochs + 1):
            history.append(self._epoch(epoch))
            if checkpoints is not None:
                checkpoints(epoch, state_of(self.module))
        example, _ = self.test.batch(slice(2))
        tensors = state_of(self.module)
        return TrainResult(
            tensors, tuple(history), self.options, self.shape, example.cpu().contiguous()
        )

    def _epoch(self, epoch: int) -> EpochRecord:
        self.module.train()
        losses, correct, answers, step, loss = 0.0, 0, 0, 0, math.nan
        done = (epoch - 1) * self.steps_per_epoch
        for step, chosen in enumerate(self._batches(), start=done):
            if self.should_stop is not None and self.should_stop():
                raise CancelledError(f"The training was cancelled in epoch {epoch}.")
            loss, hits, asked = self._step(chosen, self.schedule(step))
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} in epoch {epoch}, step {step + 1}: the training "
                    f"diverged. Try a lower rate than {self.options.rate}."
                )
            losses, correct, answers = losses + loss, correct + hits, answers + asked
            last = step + 1 == done + self.steps_per_epoch
            if self.progress is not None and not last:
                self.progress(TrainProgress(step + 1, self.steps, epoch, loss))
        test_loss, test_accuracy = evaluate_split(self.module, self.test)
        record = EpochRecord(
            epoch, losses / self.steps_per_epoch, correct / answers, test_loss, test_accuracy
        )
        if self.progress is not None:
            self.progress(TrainProgress(step + 1, self.steps, epoch, loss, record))
        return record

    def _batches(self) -> Iterator[Tensor]:
        size = self.options.batch_size
        order = torch.randperm(len(self.training), generator=self.order)
        for start in range(0, self.steps_per_epoch * size, size):
            yield order[start : start + size].to(self.training.inputs.device)

    def _step(self, chosen: Tensor, rate: float) -> tuple[float, int, int]:
        """Take one step; return the batch's mean loss, right answers and answers asked for."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        inputs, targets = self.training.batch(chosen, self.augmentation)
        logits, targets = _rows(self.module(inputs), targets)
        loss = F.cross_entropy(logits, targets)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item(), int((logits.argmax(1) == targets).sum()), int((targets >= 0).sum())


@torch.inference_mode()
def evaluate_split(module: nn.Module, split: Split) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy of a module on a whole split.

    Both are per class or per token that is asked for.
    """
    module.eval()
    loss, correct, answers = 0.0, 0, 0
    for start in range(0, len(split), _EVALUATION_BATCH):
        inputs, targets = split.batch(slice(start, start + _EVALUATION_BATCH))
        logits, targets = _rows(module(inputs), targets)
        loss += float(F.cross_entropy(logits.double(), targets, reduction="sum"))
        correct += int((logits.argmax(1) == targets).sum())
        answers += int((targets >= 0).sum())
    return loss / answers, correct / answers


def _rows(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores [R, C] and targets [R], one row per sample or per token."""
    return logits.flatten(0, -2), targets.flatten()


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's state dict: on the CPU, contiguous, detached."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in module.state_dict().items()
    }


def _optimiser(module: nn.Module, options: TrainOptions, recipe: Recipe) -> torch.optim.Optimizer:
    if options.optimiser == "adam":
        return torch.optim.Adam(module.parameters(), lr=options.rate)
    if options.optimiser == "adamw":
        return torch.optim.AdamW(
            module.parameters(), lr=options.rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(
        module.parameters(),
        lr=options.rate,
        momentum=MOMENTUM,
        weight_decay=recipe.weight_decay,
    )


def _schedule(options: TrainOptions, recipe: Recipe, steps: int, steps_per_epoch: int) -> Schedule:
    if options.schedule == "constant":
        return constant(options.rate)
    if options.schedule == "cooldown":
        return cooldown(options.rate, steps)
    return warmup_cosine(
        options.rate, recipe.warmup_epochs * steps_per_epoch or WARMUP_STEPS, steps
    )
