"""The colour scale: drawn values are logs, labels are losses, NaN stays NaN."""

from __future__ import annotations

import numpy as np
import pytest

from engine.figures.scale import label, loss_scale, suggested_cap

LOSS = np.array([[0.07, 0.5], [2.0, 9.0]])


def test_log_scale_draws_logs_and_labels_losses():
    scale = loss_scale(LOSS, cap=4.0)
    assert scale.bounds == pytest.approx((np.log10(0.07), np.log10(4.0)))
    assert scale.value(LOSS) == pytest.approx(np.log10([[0.07, 0.5], [2.0, 4.0]]))
    at, texts = scale.ticks()
    assert texts == ["0.07", "0.1", "0.2", "0.5", "1", "2", "≥ 4"]
    for place, text in zip(at, texts, strict=True):
        assert place == pytest.approx(np.log10(float(text.removeprefix("≥ "))))


def test_linear_scale():
    scale = loss_scale(LOSS, log=False, cap=4.0)
    at, texts = scale.ticks()
    assert texts[0] == "0.07"
    assert texts[-1] == "≥ 4"
    assert at[1:-1] == pytest.approx([float(text) for text in texts[1:-1]])


def test_a_cap_over_everything_is_no_cap():
    scale = loss_scale(LOSS, cap=100.0)
    assert not scale.capped
    assert scale.cap == 9.0
    assert scale.ticks()[1][-1] == "9"


def test_diverged_losses_stay_nan():
    values = loss_scale(LOSS).value(np.array([np.nan, np.inf, 0.5]))
    assert np.isnan(values[:2]).all()
    assert np.isfinite(values[2])


@pytest.mark.parametrize("loss", [np.full((2, 2), np.nan), np.zeros((2, 2)), np.full((2, 2), 0.3)])
@pytest.mark.parametrize("log", [True, False])
def test_degenerate_planes_have_a_scale(loss, log):
    scale = loss_scale(loss, log=log)
    low, high = scale.bounds
    assert np.isfinite([low, high]).all()
    assert low < high
    assert scale.contours()["size"] > 0
    assert len(scale.ticks()[0]) >= 2


def test_suggested_cap_is_round_and_covers_nine_tenths():
    losses = np.linspace(0.1, 3.7, 1000)
    cap = suggested_cap(losses)
    assert cap == 4.0
    assert (losses <= cap).mean() >= 0.9
    assert suggested_cap(np.array([np.nan])) == 1.0


def test_labels():
    assert [label(x) for x in (0, 0.07, 0.5, 4.0, 1200.0)] == ["0", "0.07", "0.5", "4", "1200"]


def test_huge_losses_have_short_labels():
    assert [label(loss) for loss in (0, 0.07, 42.0, 1200.0, 3e20)] == [
        "0",
        "0.07",
        "42",
        "1200",
        "3e+20",
    ]
