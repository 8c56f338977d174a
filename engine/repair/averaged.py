"""The ensemble of several models, the line that a merged model is held against.

Its prediction is the mean of the models' probabilities (Lakshminarayanan et al. 2017, arXiv
1612.01474, section 2.4), of their values in a regression. It costs one forward pass per model;
a merged model costs one. Permuting a model changes nothing about it. An ensemble of one model is
the model: so its calibration is found too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.task import IGNORED, LANGUAGE, REGRESSION
from engine.errors import RepairError
from engine.landscape import Samples, choose_batch_size
from engine.landscape.loss import check_outputs, check_targets, task_for
from engine.program import Program
from engine.repair.calibration import binned_error


@dataclass(frozen=True)
class Ensemble:
    """What several models together achieve.

    Attributes:
        loss: mean loss per sample, or per token: cross-entropy of the mean probabilities, mean
            squared error of the mean values.
        accuracy: share of samples or tokens that are right, NaN in a regression.
        calibration_error: expected calibration error with 15 bins, NaN in a regression.
        models: how many models there are.
    """

    loss: float
    accuracy: float
    calibration_error: float
    models: int


def ensemble(
    program: Program,
    models: Sequence[Mapping[str, Tensor]],
    dataset: Samples,
    *,
    temperatures: Sequence[float] | None = None,
    batch_size: int | None = None,
    check: Callable[[], None] = lambda: None,
    device: torch.device | str = "cpu",
) -> Ensemble:
    """Return loss, accuracy and calibration error of the models' averaged predictions.

    Args:
        program: the architecture of all.
        models: their tensors, each in its own precision; half precision runs as float32.
        dataset: N samples.
        temperatures: what each model's logits are divided by; None divides by nothing.
        batch_size: samples at a time; None chooses.
        check: called before each batch; what it raises ends the work.
        device: where to compute.

    Raises:
        RepairError: there is no model or no sample, or not one temperature for each model.
        LandscapeError: the targets do not fit the outputs.
        ProgramError: a model lacks a tensor of the program.
    """
    samples = len(dataset.targets)
    if not models or samples == 0:
        raise RepairError(
            f"An ensemble needs a model and a sample; there are {len(models)} models and "
            f"{samples} samples."
        )
    divisors = [1.0] * len(models) if temperatures is None else [float(t) for t in temperatures]
    if len(divisors) != len(models):
        raise RepairError(
            f"An ensemble takes one temperature per model; {len(models)} models have "
            f"{len(divisors)}."
        )
    placed = [_placed(program, model, device) for model in models]
    size = choose_batch_size(program, batch_size)
    tensors = dataset.inputs if isinstance(dataset.inputs, tuple) else (dataset.inputs,)
    parts = []
    with torch.inference_mode():
        for start in range(0, samples, size):
            check()
            chosen = slice(start, start + size)
            batch = [tensor[chosen].to(device) for tensor in tensors]
            targets = dataset.targets[chosen].to(device)
            outputs = [_outputs(program, model, batch) for model in placed]
            check_outputs(outputs[0].unsqueeze(0), targets)
            check_targets(targets, outputs[0].shape[-1])
            parts.append(_scores(outputs, divisors, targets))
    loss, correct, confidence = torch.cat(parts, dim=1)
    known = task_for(dataset.targets) is not REGRESSION
    return Ensemble(
        loss=float(loss.mean()),
        accuracy=float(correct.mean()),
        calibration_error=binned_error(confidence, correct) if known else math.nan,
        models=len(models),
    )


def _placed(
    program: Program, model: Mapping[str, Tensor], device: torch.device | str
) -> dict[str, Tensor]:
    """Return a model's tensors on the device, in float32 or wider."""
    program.check(model)
    half = (torch.float16, torch.bfloat16)
    return {
        name: tensor.to(device, torch.float32 if tensor.dtype in half else None)
        for name, tensor in program.named(model).items()
    }


def _outputs(program: Program, model: Mapping[str, Tensor], batch: Sequence[Tensor]) -> Tensor:
    dtype = next(t.dtype for t in model.values() if t.is_floating_point())
    return program(model, *(t.to(dtype) if t.is_floating_point() else t for t in batch)).double()


def _scores(outputs: Sequence[Tensor], divisors: Sequence[float], targets: Tensor) -> Tensor:
    """Return loss, correctness and confidence of every answer of a batch, float64 [3, answers]."""
    if task_for(targets) is REGRESSION:
        mean = torch.stack(list(outputs)).mean(0).flatten(1)
        loss = (mean - targets.double().flatten(1)).square().mean(1)
        return torch.stack((loss, *[torch.full_like(loss, math.nan)] * 2)).cpu()
    logs = [
        o.log_softmax(-1) if d == 1 else (o / d).log_softmax(-1)
        for o, d in zip(outputs, divisors, strict=True)
    ]
    mean = torch.stack(logs).logsumexp(0) - math.log(len(logs))
    rows, wanted = mean.reshape(-1, mean.shape[-1]), targets.reshape(-1)
    if task_for(targets) is LANGUAGE:
        rows, wanted = rows[wanted != IGNORED], wanted[wanted != IGNORED]
    best, chosen = rows.max(1)
    correct = torch.where(best.isnan(), best, (chosen == wanted).double())
    return torch.stack((-rows.gather(1, wanted[:, None])[:, 0], correct, best.exp())).cpu()
