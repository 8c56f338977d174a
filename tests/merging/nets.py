"""Traced models for the merging tests: a perceptron, a ResNet with BatchNorm, nested groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from engine.program import Program, capture
from engine.symmetry import Permutation, Symmetry, derive_symmetry
from tests.matching.nested_nets import NETS as NESTED
from tests.models import MODELS


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3))


def linear() -> nn.Module:
    return nn.Linear(4, 3)


_MODELS = {model.name: model for model in MODELS}
BUILDERS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "mlp": (perceptron, torch.zeros(2, 6)),
    "linear": (linear, torch.zeros(2, 4)),
    "resnet-a": (_MODELS["resnet-a"].build, torch.zeros(2, 2, 8, 8)),
    "vgg": (_MODELS["vgg-batchnorm"].build, torch.zeros(2, 2, 8, 8)),
    "resnext": NESTED["resnext"],
}


@cache
def traced(name: str) -> tuple[Program, Symmetry]:
    """Return the program and the symmetry of a model by its name."""
    build, inputs = BUILDERS[name]
    torch.manual_seed(0)
    program = capture(build().eval(), inputs)
    return program, derive_symmetry(program)


def weights(program: Program, seed: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Draw parameters of which every unit differs; running variances are positive."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.randn(spec.shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, spec in program.parameters.items()
    }
    return {name: t.abs() + 0.5 if "running_var" in name else t for name, t in drawn.items()}


def planted(
    name: str, count: int, noise: float = 0.0, dtype: torch.dtype = torch.float64
) -> tuple[list[dict[str, Tensor]], list[Permutation]]:
    """Return copies of one model, each in an order of its own, and those orders."""
    program, symmetry = traced(name)
    base = weights(program, 0, dtype)
    models, orders = [], []
    for number in range(count):
        order = symmetry.random(torch.Generator().manual_seed(100 + number))
        noisy = weights(program, 1 + number, dtype)
        model = {key: tensor + noise * noisy[key] for key, tensor in base.items()}
        models.append(symmetry.apply(order, model))
        orders.append(order)
    return models, orders
