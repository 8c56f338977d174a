from __future__ import annotations

import pytest
import torch

from engine.landscape.progressive import draw_sample

SIZES = (700, 200, 95, 5)
TARGETS = torch.repeat_interleave(torch.arange(4), torch.tensor(SIZES))


@pytest.mark.parametrize("count", [4, 10, 37, 100, 1000])
def test_every_class_gives_its_share(count: int) -> None:
    drawn = draw_sample(TARGETS, count, 0)
    assert len(drawn) == count
    assert torch.equal(drawn, drawn.unique())
    counts = torch.bincount(TARGETS[drawn], minlength=4)
    assert (counts >= 1).all()
    for found, size in zip(counts.tolist(), SIZES, strict=True):
        assert abs(found - count * size / 1000) <= 2


def test_a_draw_is_that_of_its_seed_and_not_of_the_order_alone() -> None:
    assert torch.equal(draw_sample(TARGETS, 50, 3), draw_sample(TARGETS, 50, 3))
    assert not torch.equal(draw_sample(TARGETS, 50, 3), draw_sample(TARGETS, 50, 4))
    first = draw_sample(TARGETS, 100, 0)[:70]
    assert not torch.equal(first, torch.arange(70))


def test_fewer_samples_than_classes_are_drawn_plainly() -> None:
    assert len(draw_sample(torch.arange(50), 20, 0)) == 20


@pytest.mark.parametrize("targets", [torch.zeros(60, 7, dtype=torch.int64), torch.randn(60)])
def test_tokens_and_values_are_drawn_plainly(targets: torch.Tensor) -> None:
    drawn = draw_sample(targets, 20, 1)
    assert len(drawn.unique()) == 20
    assert torch.equal(drawn, drawn.sort().values)
