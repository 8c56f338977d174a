"""Modules without memory for their weights trace to the very graph of ordinary ones."""

from __future__ import annotations

import torch
from torch import nn

from engine.families.weightless import weightless
from engine.program import capture


class Tied(nn.Module):
    """An embedding, a buffer that is computed with, and a head that shares the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.arange(4.0), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.embed(tokens)) * self.scale)


def test_the_graph_is_the_same() -> None:
    tokens = torch.zeros(2, 3, dtype=torch.int64)
    assert capture(weightless(Tied), tokens).fingerprint == capture(Tied(), tokens).fingerprint
    image = torch.zeros(2, 3, 5, 5)
    built = weightless(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert capture(built, image).fingerprint == capture(plain, image).fingerprint


def test_weights_take_no_memory_and_ties_and_buffers_stay() -> None:
    module = weightless(lambda: nn.Linear(1 << 16, 1 << 16, bias=False))
    assert module.weight.shape == (1 << 16, 1 << 16)
    assert module.weight.untyped_storage().nbytes() == 4
    tied = weightless(Tied)
    assert tied.head.weight is tied.embed.weight
    assert torch.equal(tied.scale, torch.arange(4.0))
    assert not tied.training
    assert torch.empty(2).device.type == "cpu"
