"""Independent oracles: dense loops over the module itself, in float64, one thing at a time."""

from __future__ import annotations

import copy
import functools
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


class Tied(nn.Module):
    """Two layers that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@functools.cache
def program_of(model: Model) -> Program:
    """Return a model's Program, which is immutable and traced once for all tests."""
    return capture(model.module(), model.inputs())


def setting(model: Model, samples: int, models: int = 3) -> tuple[Program, list, Data]:
    """Return a model's Program, state dicts of several seeds, and random data."""
    modules = [model.module(seed) for seed in range(models)]
    program = program_of(model)
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
    params = dict(params)
    for alias, name in _tied(module).items():
        params[alias] = params[name]
    loss, hits = [], []
    assert isinstance(data.inputs, Tensor)
    with torch.no_grad():
        for x, y in zip(data.inputs.double(), data.targets, strict=True):
            logits = functional_call(module, params, (x[None],))
            loss.append(F.cross_entropy(logits, y[None]))
            hits.append((logits.argmax(1) == y).double()[0])
    return torch.stack(loss), torch.stack(hits)


def _tied(module: nn.Module) -> dict[str, str]:
    first: dict[int, str] = {}
    named = module.named_parameters(remove_duplicate=False)
    return {n: first[id(p)] for n, p in named if first.setdefault(id(p), n) != n}
