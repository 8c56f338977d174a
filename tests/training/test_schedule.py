"""Planted values of the learning-rate schedules."""

from __future__ import annotations

import math

import pytest

from engine.training.schedule import START, constant, cooldown, hold_then_fall, warmup_cosine


def test_constant_is_constant():
    assert {constant(0.01)(step) for step in (0, 1, 10_000)} == {0.01}


def test_a_cooldown_takes_the_last_fifth_straight_to_zero():
    rate = cooldown(0.1, 50)
    assert [rate(step) for step in (0, 17, 40)] == pytest.approx([0.1, 0.1, 0.1])
    assert [rate(step) for step in (45, 49)] == pytest.approx([0.05, 0.01])
    assert rate(50) == 0.0


def test_warm_up_is_linear_and_the_peak_is_at_its_end():
    rate = warmup_cosine(0.1, 10, 2400)
    assert rate(0) == START
    assert rate(5) == pytest.approx((0.1 + START) / 2)
    assert rate(10) == pytest.approx(0.1)
    assert max(rate(step) for step in range(2400)) == rate(10)


def test_cosine_values_by_hand():
    rate = warmup_cosine(0.4, 10, 110)
    assert rate(60) == pytest.approx(0.2)  # half-way down
    assert rate(35) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))  # a quarter
    assert rate(110) == pytest.approx(0.0, abs=1e-12)
    assert 0 < rate(109) < 1e-3


def test_a_short_training_still_has_a_peak():
    rate = warmup_cosine(0.1, 10, 4)
    assert [round(rate(step), 4) for step in range(4)] == [0.1, 0.0854, 0.05, 0.0146]
    assert warmup_cosine(0.1, 10, 1)(0) == pytest.approx(0.1)


def test_at_most_a_fifth_of_the_steps_is_warm_up():
    rate = warmup_cosine(0.1, 2500, 1000)
    assert max(range(1000), key=rate) == 200


def test_a_curves_rate_is_held_then_falls_to_a_hundredth():
    rate = hold_then_fall(0.4, 100)
    assert [rate(step) for step in (0, 50)] == [0.4, 0.4]
    assert rate(70) == pytest.approx(0.4 * (1 + 0.01) / 2)
    assert [rate(step) for step in (90, 99)] == pytest.approx([0.004, 0.004])
