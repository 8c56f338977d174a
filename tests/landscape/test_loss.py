from __future__ import annotations

import math

import pytest
import torch

from engine.errors import LandscapeError
from engine.landscape import loss as loss_module
from engine.landscape.loss import check_outputs, check_targets, loss_sums


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


def cross_entropy(row, target: int) -> float:
    numbers = [float(x) for x in row]
    top = max(numbers)
    return top + math.log(sum(math.exp(x - top) for x in numbers)) - numbers[target]


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_token_sums_equal_a_loop_over_points_sequences_and_positions(chunk, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", chunk)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 3, 4, 5, generator=generator)
    targets = torch.tensor([[0, 4, -100, 1], [-100] * 4, [2, -100, -100, 3]])
    sums = loss_sums(outputs, targets)
    for p in range(2):
        expected = [0.0] * 6
        for n in range(3):
            s = c = count = 0.0
            for t, target in enumerate(targets[n].tolist()):
                if target == -100:
                    continue
                s += cross_entropy(outputs[p, n, t], target)
                c += max(range(5), key=lambda k: float(outputs[p, n, t, k])) == target
                count += 1
            for k, value in enumerate((s, s * s, c, c * c, s * count, c * count)):
                expected[k] += value
        torch.testing.assert_close(
            sums[p], torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0
        )


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 4)])
def test_square_sums_equal_a_loop_over_points_and_samples(shape, chunk, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", chunk)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 5, *shape, generator=generator)
    targets = torch.randn(5, *shape, generator=generator)
    sums = loss_sums(outputs, targets)
    for p in range(3):
        loss = square = 0.0
        for n in range(5):
            pairs = list(zip(outputs[p, n].flatten(), targets[n].flatten(), strict=True))
            value = sum((float(o) - float(t)) ** 2 for o, t in pairs) / len(pairs)
            loss, square = loss + value, square + value**2
        assert sums[p, :2].tolist() == pytest.approx([loss, square], rel=1e-12)
        assert sums[p, 2].isnan()


def test_an_infinite_or_nan_output_of_a_regression_stays_one():
    outputs = torch.tensor([[[torch.nan]], [[torch.inf]], [[1.0]]])
    sums = loss_sums(outputs, torch.zeros(1, 1))
    assert sums[0, 0].isnan()
    assert sums[1, 0] == torch.inf
    assert sums[2, 0] == 1.0


def test_a_nan_at_a_position_that_does_not_count_does_not_count():
    outputs = torch.zeros(2, 1, 2, 3)
    outputs[0, 0, 0, 0] = torch.nan
    outputs[1, 0, 1, 0] = torch.nan
    sums = loss_sums(outputs, torch.tensor([[-100, 1]]))
    assert float(sums[0, 0]) == pytest.approx(math.log(3))
    assert sums[1].isnan().all()


@pytest.mark.parametrize("targets", [[-1, 0], [0, 4], [-100, 0]])
def test_targets_out_of_range_are_refused(targets):
    with pytest.raises(LandscapeError, match=r"classes run from .* model has 4 outputs"):
        check_targets(torch.tensor(targets), 4)


@pytest.mark.parametrize("targets", [[[-1, 0]], [[0, 4]]])
def test_tokens_out_of_range_are_refused(targets):
    with pytest.raises(LandscapeError, match=r"tokens run from .* model has 4 outputs, tokens 0"):
        check_targets(torch.tensor(targets), 4)


def test_targets_that_say_nothing_are_refused():
    with pytest.raises(LandscapeError, match=r"Every target is -100.* nothing is predicted"):
        check_targets(torch.full((2, 3), -100), 4)
    with pytest.raises(LandscapeError, match="targets hold NaN or infinite numbers"):
        check_targets(torch.tensor([[0.0, torch.nan]]), 2)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ((4, 3), torch.zeros(5).long(), r"returned shape \[4, 3\] for 5 samples; .*one row"),
        (
            (5,),
            torch.zeros(5).long(),
            r"targets of shape \[N\], but .* returns \[N\]: store them as fl",
        ),
        ((5, 3, 3), torch.zeros(5).long(), r"returns \[N, 3, 3\]: .* one token per position"),
        ((5, 4, 9), torch.zeros(5, 3).long(), r"\[N, 3\], .* \[N, 4, 9\]: .* position, \[N, 4\]"),
        ((5, 9), torch.zeros(5, 3).long(), r"\[N, 3\], .* returns \[N, 9\]: .* one class number"),
        ((5, 3), torch.zeros(5, 3).long(), "floating-point numbers for a regression"),
        ((5, 9), torch.zeros(5), r"floating-point targets of shape \[N\], .* whole numbers"),
        ((5, 2, 3), torch.zeros(5, 3, 2), "a regression needs one target per output"),
        ((5, 3, 3, 3), torch.zeros(5, 3, 3).long(), "only class scores"),
        ((5, 3), torch.zeros(5, 1).long(), r"have shape \[5, 1\]; this model's are \[5\]"),
        ((5, 1), torch.zeros(5), r"have shape \[5\]; this model's are \[5, 1\]"),
    ],
)
def test_outputs_and_targets_that_do_not_belong_together_are_refused(outputs, targets, message):
    with pytest.raises(LandscapeError, match=message):
        check_outputs(torch.zeros(1, *outputs), targets)
