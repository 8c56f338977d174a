"""The losses of a landscape per sample, added up in float64: classes, tokens, squared errors.

- *classification*: outputs [N, C], targets int64 [N]; cross-entropy in nats.
- *language modelling*: outputs [N, T, V], targets int64 [N, T], −100 where a position does not
  count. A sample's loss is the sum over its tokens; the mean loss is per token, its standard
  error by sequence (`tally.py`), since the tokens of one sequence are not independent.
- *regression*: outputs and targets [N, …] of one shape; a sample's loss is the mean squared
  error over its outputs. There is no number of right answers: it is NaN.

Outputs are widened to float64 before the softmax: a confident model's loss of 1e-8 would
otherwise round to 0. NaN outputs make the loss and the number of right answers NaN, never a
number; an infinite loss stays infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.task import (
    CLASSIFICATION,
    IGNORED,
    LANGUAGE,
    REGRESSION,
    Task,
    infer_task,
    task_of,
)
from engine.errors import DataError, LandscapeError

CHUNK_BYTES = 64 << 20
"""At most so many bytes of outputs are widened to float64 at a time."""


def loss_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return sums over samples, float64 [P, K]; the task is the one that the targets ask for.

    K = 3 columns: loss, squared loss, right answers. For language modelling K = 6: these three,
    then the squares of a sequence's right answers, and its loss and right answers times its
    number of tokens.

    Args:
        outputs: of P points, shape [P, N, …] (see `check_outputs`).
        targets: of N samples (see the module's text).
    """
    return _SUMS[task_for(targets).key](outputs, targets)


def task_for(targets: Tensor) -> Task:
    """Return the task that targets ask for."""
    return task_of(targets.is_floating_point(), targets.ndim)


def check_outputs(outputs: Tensor, targets: Tensor) -> None:
    """Raise LandscapeError unless outputs [P, N, …] are what the targets [N, …] ask for."""
    samples = len(targets)
    if outputs.ndim < 2 or outputs.shape[1] != samples:
        raise LandscapeError(
            f"The model returned shape {list(outputs.shape[1:])} for {samples} samples; a "
            f"landscape needs one row of outputs per sample."
        )
    given = tuple(targets.shape[1:])
    try:
        _, wanted = infer_task(
            targets.is_floating_point(), given, tuple(outputs.shape[2:]), "the data"
        )
    except DataError as error:
        raise LandscapeError(f"T{str(error)[1:]}") from error
    if wanted != given:
        raise LandscapeError(
            f"The targets have shape {[samples, *given]}; this model's are {[samples, *wanted]}: "
            f"lay them out so."
        )


def check_targets(targets: Tensor, classes: int) -> None:
    """Raise LandscapeError unless every target is a class or token that the model has."""
    if targets.is_floating_point():
        if bool(targets.isfinite().all()):
            return
        raise LandscapeError("The targets hold NaN or infinite numbers; leave those samples out.")
    language = task_for(targets) is LANGUAGE
    counted = targets[targets != IGNORED] if language else targets
    if counted.numel() == 0:
        raise LandscapeError(
            f"Every target is {IGNORED}, which leaves it out of the loss: nothing is predicted."
        )
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= classes:
        what = "tokens" if language else "classes"
        raise LandscapeError(
            f"The data's {what} run from {low} to {high}, but the model has {classes} outputs, "
            f"{what} 0 to {classes - 1}; choose data with the model's own {what}."
        )


def _class_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    points, samples, classes = outputs.shape
    rows = outputs.reshape(points * samples, classes)
    losses, hits = _cross_entropy(rows, targets.repeat(points))
    columns = torch.stack((losses, losses.square(), hits), dim=1)
    return columns.view(points, samples, 3).sum(1)


def _token_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    points, samples, length, vocabulary = outputs.shape
    rows = outputs.reshape(-1, vocabulary)
    wanted = targets.reshape(-1).repeat(points)
    counted = (wanted != IGNORED).nonzero()[:, 0]
    places = torch.zeros(2, len(wanted), dtype=torch.float64, device=outputs.device)
    places[:, counted] = torch.stack(_cross_entropy(rows, wanted[counted], counted))
    losses, hits = places.view(2, points, samples, length).sum(3)
    tokens = (targets != IGNORED).sum(1).double()
    columns = (losses, losses**2, hits, hits**2, losses * tokens, hits * tokens)
    return torch.stack(columns, dim=2).sum(1)


def _square_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    points, samples = outputs.shape[:2]
    rows = outputs.reshape(points * samples, -1)
    wanted = targets.reshape(samples, -1)
    parts = [
        (rows[chosen].double() - wanted[chosen % samples].double()).square().mean(1)
        for chosen in _chunks(rows, torch.arange(len(rows), device=rows.device))
    ]
    losses = torch.cat(parts)
    columns = torch.stack((losses, losses.square(), torch.full_like(losses, torch.nan)), dim=1)
    return columns.view(points, samples, 3).sum(1)


def _cross_entropy(
    rows: Tensor, targets: Tensor, chosen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return cross-entropy and correctness, float64, of rows of scores (of the chosen ones)."""
    places = torch.arange(len(rows), device=rows.device) if chosen is None else chosen
    losses, hits, done = [], [], 0
    for part in _chunks(rows, places):
        scores = rows[part].double()
        wanted = targets[done : done + len(part)]
        done += len(part)
        loss = F.cross_entropy(scores, wanted, reduction="none")
        hit = (scores.argmax(1) == wanted).double()
        losses.append(loss)
        hits.append(torch.where(loss.isnan(), loss, hit))
    return torch.cat(losses), torch.cat(hits)


def _chunks(rows: Tensor, places: Tensor) -> Iterator[Tensor]:
    """Yield the places in pieces of at most CHUNK_BYTES of float64, one row or more each."""
    return iter(places.split(max(1, CHUNK_BYTES // (8 * max(1, rows.shape[1])))))


_SUMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    CLASSIFICATION.key: _class_sums,
    LANGUAGE.key: _token_sums,
    REGRESSION.key: _square_sums,
}
