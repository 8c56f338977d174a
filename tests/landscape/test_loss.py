from __future__ import annotations

import math

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape.loss import check_logits, check_targets, loss_sums


def test_sums_equal_a_loop_over_points_and_samples():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 4, generator=generator)
    targets = torch.tensor([0, 3, 1, 1, 2])
    sums = loss_sums(logits, targets)
    for p in range(3):
        loss = square = hits = 0.0
        for n, target in enumerate(targets.tolist()):
            row = [float(x) for x in logits[p, n]]
            value = math.log(sum(map(math.exp, row))) - row[target]
            loss, square = loss + value, square + value**2
            hits += max(range(4), key=row.__getitem__) == target
        expected = torch.tensor([loss, square, hits], dtype=torch.float64)
        torch.testing.assert_close(sums[p], expected, rtol=1e-12, atol=0)


def test_tiny_losses_are_not_rounded_to_zero():
    sums = loss_sums(torch.tensor([[[30.0, 0.0]]]), torch.tensor([0]))
    assert float(sums[0, 0]) == pytest.approx(math.exp(-30), rel=1e-2)


def test_nan_and_infinite_logits_are_never_numbers():
    logits = torch.tensor([[[torch.nan, 1.0]], [[torch.inf, 1.0]], [[-torch.inf, 1.0]]])
    sums = loss_sums(logits, torch.tensor([0]))
    assert sums[0].isnan().all()
    assert sums[1].isnan().all()
    assert sums[2].tolist() == [torch.inf, torch.inf, 0.0]


@pytest.mark.parametrize("targets", [[-1, 0], [0, 4]])
def test_targets_out_of_range_are_refused(targets):
    with pytest.raises(LandscapeError, match=r"classes run from .* model has 4 outputs"):
        check_targets(torch.tensor(targets), 4)


@pytest.mark.parametrize("shape", [(1, 5, 3, 3), (1, 4, 3), (1, 5)])
def test_outputs_that_are_no_class_scores_are_refused(shape):
    with pytest.raises(LandscapeError, match="one row of class scores per sample"):
        check_logits(torch.zeros(shape), 5)
