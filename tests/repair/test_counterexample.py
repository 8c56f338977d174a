"""Git Re-Basin's counterexample (arXiv 2209.04836, section 4): no permutation, no repair helps.

Two networks of two hidden layers of two units (leaky ReLU) that both tell the quadrant x1, x2 ≥ 0
from the rest, by other means. Under each of the four permutations the line
between them has a barrier; so it has after every repair.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from engine.program import capture
from engine.repair import Workshop

SWAP = torch.tensor([1, 0])


def network(first, first_bias, second, second_bias) -> dict[str, Tensor]:
    """Return the tensors; weights as in the paper, [in, out]."""
    given = {
        "0.weight": torch.tensor(first).T,
        "0.bias": torch.tensor(first_bias),
        "2.weight": torch.tensor(second).T,
        "2.bias": torch.tensor(second_bias),
        "4.weight": torch.tensor([[-1.0, -1.0]]),
        "4.bias": torch.zeros(1),
    }
    return {name: tensor.float() for name, tensor in given.items()}


A = network([[1, 0], [0, -1]], [1, 0], [[-1, 0], [0, 1]], [1, 0])
B = network([[-1, 0], [0, 1]], [0, 1], [[1, 0], [0, -1]], [0, 1])


def swapped(params: dict[str, Tensor], first: bool, second: bool) -> dict[str, Tensor]:
    changed = dict(params)
    for layer, chosen in ((0, first), (2, second)):
        if chosen:
            for name in (f"{layer}.weight", f"{layer}.bias"):
                changed[name] = changed[name][SWAP]
            changed[f"{layer + 2}.weight"] = changed[f"{layer + 2}.weight"][:, SWAP]
    return changed


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(1024, 2, generator=generator) - 1
    return x, (x >= 0).all(1)


@pytest.mark.parametrize("repairs", [(), ("rescale",), ("repair",)])
def test_every_permutation_keeps_its_barrier_whatever_the_repair(repairs):
    module = nn.Sequential(
        nn.Linear(2, 2), nn.LeakyReLU(), nn.Linear(2, 2), nn.LeakyReLU(), nn.Linear(2, 1)
    )
    x, targets = data()
    program = capture(module.eval(), x[:2])

    def errors(params) -> float:
        return float(((program(params, x)[:, 0] >= -1e-6) != targets).double().mean())

    for first, second in itertools.product((False, True), repeat=2):
        ends = (A, swapped(B, first, second))
        shop = Workshop(program, ends, (x,), repairs=repairs, batch_size=1024)
        along = [errors(shop.at((1 - p, p)).params) for p in torch.linspace(0, 1, 25).tolist()]
        # The leak of the units costs a few of 1024 samples at the axes.
        assert along[0] < 0.01 and along[-1] < 0.01
        assert max(along) > 0.1
