"""Forwards that are no pure function of parameters and inputs are refused with the reason."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.errors import CaptureError
from engine.program import capture


class LoopedExperts(nn.Module):
    """Each expert sees the tokens that were sent to it: how many depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        chosen, out = self.router(x).argmax(-1), torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            own = torch.where(chosen == number)[0]
            if own.numel():
                out = out.index_add(0, own, expert(x[own]))
        return out


class EarlyExit(nn.Module):
    """Stops after the first layer where it is sure."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return x if x.max() > 3 else self.second(x)


class RandomDepth(nn.Module):
    """Drops its branch at random, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x) * torch.bernoulli(torch.full((x.shape[0], 1), 0.5))


class NoisyRouter(nn.Module):
    """Noise on the scores of its experts."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.out = nn.Linear(6, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(x)
        return self.out((scores + torch.randn_like(scores)).softmax(-1))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (LoopedExperts(), "data-dependent"),
        (EarlyExit(), "data-dependent"),
        (RandomDepth(), "random in eval mode: it calls aten.bernoulli"),
        (NoisyRouter(), "random in eval mode: it calls aten.randn_like"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_it_is_refused_with_the_reason(module, reason):
    with pytest.raises(CaptureError, match=reason):
        capture(module, torch.randn(2, 6))
