"""Midpoints ½(A + π(B)) and what they lose on a batch, with gradients where they are asked for.

BatchNorms use their batch's own statistics, since those of a midpoint are not known (Jordan et
al. 2022, arXiv 2211.08403). The loss is that of the task that the targets ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.task import IGNORED, infer_task
from engine.errors import DataError, MatchingError
from engine.matching.problem import Problem
from engine.symmetry import Perms, Permutation, Symmetry

if TYPE_CHECKING:
    from engine.program import Program

Tensors = dict[str, Tensor]
Batch = tuple[Tensor, ...]


class Midpoints:
    """Two models in one precision, their midpoints and what those lose on a batch.

    Args:
        program: the architecture of both.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        device: where everything runs.
    """

    def __init__(
        self,
        program: Program,
        symmetry: Symmetry,
        a: Mapping[str, Tensor],
        b: Mapping[str, Tensor],
        device: torch.device,
    ) -> None:
        self.symmetry = symmetry
        named = [program.named(model) for model in (a, b)]
        double = any(t.dtype == torch.float64 for model in named for t in model.values())
        self.dtype = torch.float64 if double else torch.float32
        self.device = device
        self.a, self.b = ({name: self._moved(t) for name, t in m.items()} for m in named)
        self._exclude = program.statistics_names
        self._problem = self.problem(self.a)
        self.moved = tuple(self._problem.carried)
        """The names of the parameters that some permutation moves."""
        normalising = program.with_batch_statistics() if program.batch_norms else None
        self._run = program if normalising is None else lambda *given: normalising(*given)[0]

    def problem(self, target: Tensors) -> Problem:
        """Return the problem of matching b to other weights than a."""
        whole = {**self.a, **target}
        return Problem(self.symmetry, whole, self.b, exclude=self._exclude, device=self.device)

    def objective(self, perms: Perms) -> float:
        """Return ⟨a, π(b)⟩."""
        return self._problem.objective(perms)

    def midpoint(self, perms: Perms) -> Tensors:
        """Return ½(A + π(B)); tensors that are not floating are A's."""
        permutation = Permutation(perms, self.symmetry.within)
        permuted = self.symmetry.apply(permutation, self.b)
        return {
            name: (t + permuted[name]) / 2 if t.is_floating_point() else t
            for name, t in self.a.items()
        }

    def batch(self, inputs: Batch, targets: Tensor, chosen: Tensor) -> Batch:
        """Return the chosen samples' inputs and, last, their targets."""
        return tuple(self._moved(tensor[chosen]) for tensor in (*inputs, targets))

    def loss(self, params: Tensors, batch: Batch) -> Tensor:
        """Return the mean loss of one batch.

        Raises:
            MatchingError: the targets do not fit the outputs.
        """
        *inputs, targets = batch
        outputs = self._run(params, *inputs)
        floating = targets.is_floating_point()
        try:
            given, shown = (tuple(tensor.shape[1:]) for tensor in (targets, outputs))
            _, wanted = infer_task(floating, given, shown, "the data")
        except DataError as error:
            raise MatchingError(str(error)) from error
        targets = targets.reshape(len(targets), *wanted)
        if floating:
            return F.mse_loss(outputs, targets)
        scores, labels = outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
        low, high = int(labels.min()), int(labels.max())
        if high >= scores.shape[1] or (low < 0 and low != IGNORED):
            raise MatchingError(
                f"the targets run from {low} to {high}, but the model has {scores.shape[1]} "
                "outputs; choose the data that it was trained on"
            )
        return F.cross_entropy(scores, labels, ignore_index=IGNORED)

    def mean_loss(self, perms: Perms, samples: Batch, batch_size: int) -> float:
        """Return a midpoint's loss, the mean over samples taken some at a time.

        Raises:
            MatchingError: the targets do not fit, or the loss is NaN.
        """
        with torch.inference_mode():
            midpoint, losses = self.midpoint(perms), 0.0
            for piece in zip(*(tensor.split(batch_size) for tensor in samples), strict=True):
                losses += len(piece[-1]) * float(self.loss(midpoint, piece))
        if math.isnan(losses):
            raise MatchingError("the midpoint's loss is NaN; look at the data and both models")
        return losses / len(samples[-1])

    def _moved(self, tensor: Tensor) -> Tensor:
        dtype = self.dtype if tensor.is_floating_point() else None
        return tensor.detach().to(self.device, dtype)


def check_data(who: str, inputs: Batch, targets: Tensor) -> None:
    """Raise MatchingError unless there are samples and a target of each."""
    counts = [len(tensor) for tensor in (*inputs, targets)]
    if len(set(counts)) != 1 or not counts[0]:
        raise MatchingError(
            f"{who} needs one target per sample and at least one sample; "
            f"there are {counts[0]} inputs and {counts[-1]} targets"
        )


def batches(samples: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield places of batches for ever; each round is drawn anew."""
    while True:
        yield from torch.randperm(samples, generator=generator).split(size)
