"""The training of a curve inside a study: kept as a tile while it runs, told as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.data import Dataset
from engine.landscape import ResetData, choose_batch_size, reset_statistics
from engine.program import Program
from engine.studies.path_options import PathOptions
from engine.studies.question import answers, asked, question_of
from engine.studies.stages import Stages
from engine.studies.tiles import TileCache
from engine.training.bend_records import BendProgress, BendResult, Samples
from engine.training.bends import train_bends

Tensors = Mapping[str, Tensor]
TOLD = 200
"""At most how many losses of a training are told while it runs; each is a mean over some steps."""


@dataclass(frozen=True)
class Part:
    """What part of a study a training is.

    Args:
        span: the shares of the whole study at which it begins and ends.
        more: how many trainings of as many steps come after it.
    """

    span: tuple[float, float]
    more: int = 0


@dataclass(frozen=True)
class Trainer:
    """What all trainings of a study have in common.

    Args:
        program: the model.
        options: the study's.
        train: training samples.
        statistics: samples for the bends' own BatchNorm statistics; None without BatchNorm.
        start: the bends to begin with, or None.
        cache: where a training under way is kept.
        stages: who is told.
        should_stop: asked before each step.
        device: where to compute.
    """

    program: Program
    options: PathOptions
    train: Dataset
    statistics: ResetData | None
    start: Sequence[Tensors] | None
    cache: TileCache
    stages: Stages
    should_stop: Callable[[], bool]
    device: str

    def trained(self, a: Tensors, end: Tensors, name: str, part: Part) -> BendResult:
        """Return the trained bends of the curve from A to an end, from where it was left.

        They are in A's precision, as they are written, so that what is evaluated is what a file
        holds.

        Args:
            a, end: the two models.
            name: of the end; part of the tile's key.
            part: of the study that this training is.

        Raises:
            CancelledError: asked to stop; what was reached is kept.
            TrainingError: the samples or options do not fit.
        """
        key, named = f"bends-{name}", self.program.named
        models = (named(model) for model in (a, end, *(self.start or ())))
        question = question_of(
            self.program.fingerprint, self.train.sha256, repr(self.options.training), *models
        )
        kept = self.cache.get(key)
        found = train_bends(
            self.program,
            a,
            end,
            Samples(self.train.tensors, self.train.targets),
            self.options.training,
            start=self.start,
            kept=kept if answers(kept, question) else None,
            keep=lambda arrays: self.cache.put(key, asked(arrays, question)),
            progress=Teller(self.stages, name, part),
            should_stop=self.should_stop,
            device=self.device,
        )
        own = named(a)
        bends = (_rounded(self._measured(_rounded(bend, own)), own) for bend in found.bends)
        return replace(
            found,
            bends=tuple({n: t.to(own[n].dtype) for n, t in bend.items()} for bend in bends),
        )

    def _measured(self, bend: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a bend with BatchNorm statistics of its own: without them it is no network."""
        if self.statistics is None:
            return bend
        dtype = next(t.dtype for t in bend.values() if t.is_floating_point())
        given = self.statistics.tensors
        inputs = [t.to(dtype) if t.is_floating_point() else t for t in given]
        size = choose_batch_size(self.program, self.statistics.batch_size, itemsize=dtype.itemsize)
        with torch.inference_mode():
            found = reset_statistics(self.program, bend, inputs, batch_size=size)
        return bend | {name: tensor.clone() for name, tensor in found.items()}


def _rounded(bend: Mapping[str, Tensor], like: Tensors) -> dict[str, Tensor]:
    """Return a bend whose numbers are of another model's precision, in its own memory's."""
    return {name: tensor.to(like[name].dtype).to(tensor.dtype) for name, tensor in bend.items()}


class Teller:
    """Tells how far a training is, how long it and those after it will take, and its loss.

    A few steps at a time.
    """

    def __init__(self, stages: Stages, name: str, part: Part) -> None:
        self._stages, self._name, self._part = stages, name, part
        self._begun = time.perf_counter()
        self._first: int | None = None
        self._losses: list[float] = []

    def __call__(self, told: BendProgress) -> None:
        """Take one finished step."""
        if self._first is None:
            self._first = told.step - 1
        self._losses.append(told.loss)
        every = max(1, told.steps // TOLD)
        if told.step % every and told.step != told.steps:
            return
        event = {"kind": "training", "end": self._name, "step": told.step, "steps": told.steps}
        self._stages.report({**event, "loss": float(np.mean(self._losses))})
        self._losses.clear()
        begin, end = self._part.span
        took = (time.perf_counter() - self._begun) / (told.step - self._first)
        self._stages.report(
            {
                "kind": "stage",
                "stage": "train",
                "fraction": begin + (end - begin) * told.step / told.steps,
                "eta": took * (told.steps * (1 + self._part.more) - told.step),
            }
        )
