"""Independent oracles: dense loops over the module itself, in float64, one thing at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from engine.program import Program, capture
from tests.models import Model


@dataclass(frozen=True)
class Data:
    """The two tensors that the evaluator reads."""

    inputs: Tensor | tuple[Tensor, ...]
    targets: Tensor


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def setting(model: Model, samples: int, models: int = 3) -> tuple[Program, list, Data]:
    """Return a model's Program, state dicts of several seeds, and random data."""
    modules = [model.module(seed) for seed in range(models)]
    program = capture(modules[0], model.inputs())
    inputs = model.inputs(samples, seed=11)
    classes = modules[0](model.inputs()).shape[1]
    generator = torch.Generator().manual_seed(5)
    targets = torch.randint(0, classes, (samples,), generator=generator)
    return program, [state(module) for module in modules], Data(inputs, targets)


def combine(models: Sequence[Mapping[str, Tensor]], row: Tensor) -> dict[str, Tensor]:
    """Return Σ c·θ in float64; whole numbers come from the first model."""
    return {
        name: sum(float(c) * m[name].double() for c, m in zip(row, models, strict=True))
        if tensor.is_floating_point()
        else tensor
        for name, tensor in models[0].items()
    }


def losses(module: nn.Module, params: Mapping[str, Tensor], data: Data) -> tuple[Tensor, Tensor]:
    """Return per-sample cross-entropy and correctness, float64 [N], one sample at a time."""
    module = copy.deepcopy(module).double()
    loss, hits = [], []
    assert isinstance(data.inputs, Tensor)
    with torch.no_grad():
        for x, y in zip(data.inputs.double(), data.targets, strict=True):
            logits = functional_call(module, dict(params), (x[None],))
            loss.append(F.cross_entropy(logits, y[None]))
            hits.append((logits.argmax(1) == y).double()[0])
    return torch.stack(loss), torch.stack(hits)
