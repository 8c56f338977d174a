from __future__ import annotations

import numpy as np
import pytest

from engine.landscape.progressive import FULL, SAMPLED, Estimate, Known, estimate
from tests.landscape.progressive.surfaces import SIDE, grid, refined, ridge, two_basins, values

PLACES = grid()


def known_at(kind: int, which: np.ndarray, loss: np.ndarray, known: Known | None = None) -> Known:
    found = {name: part[which] for name, part in values(loss).items()}
    return (known or Known.nothing(PLACES)).with_values(kind, which, found)


def every(stride: int) -> np.ndarray:
    rows, columns = np.divmod(np.arange(len(PLACES)), SIDE)
    return np.flatnonzero((rows % stride == 0) & (columns % stride == 0))


def test_evaluated_points_keep_their_bits() -> None:
    loss, which = two_basins(PLACES), every(4)
    found = estimate(known_at(FULL, which, loss))
    for name, part in values(loss).items():
        assert np.array_equal(found.values[name][which], part[which]), name
    assert (found.error[which] == 0).all()
    others = np.setdiff1d(np.arange(len(PLACES)), which)
    assert (found.error[others] > 0).all()
    assert found.correction == "none"


@pytest.mark.parametrize("surface", [two_basins, ridge])
@pytest.mark.parametrize("points", [80, 140])
def test_the_estimated_error_covers_the_true_one(surface, points) -> None:
    true = surface(PLACES)
    known, found = refined(true, None, stop=lambda known, _: known.has_full.sum() >= points)
    off, open_ = np.abs(found.values["loss"] / true - 1), ~known.has_full
    assert np.mean(off[open_] <= 2 * found.error[open_]) > 0.9
    assert np.median(off) < found.quantile(0.5)
    assert np.quantile(off, 0.95) < found.quantile(0.95)
    assert found.quantile(0.95) < 0.2


def rough(seed: int) -> np.ndarray:
    """What a sample is off by: a few waves, some of them shorter than the gaps between points."""
    generator = np.random.default_rng(seed)
    waves, phases = generator.normal(0, 4, (30, 2)), generator.uniform(0, 6.3, 30)
    return 0.08 * np.sqrt(2 / 30) * np.cos(PLACES @ waves.T + phases).sum(1)


def test_the_stated_quantiles_are_those_of_how_far_a_corrected_sample_is_off() -> None:
    true = two_basins(PLACES)
    ratios = []
    for seed in range(5):
        sample = true * np.exp(rough(seed))
        stop = lambda known, found: found.quantile(0.5) < 0.02  # noqa: E731
        _, found = refined(true, sample, stop=stop)
        off = np.abs(found.values["loss"] / true - 1)
        ratios.append([np.quantile(off, share) / found.quantile(share) for share in (0.5, 0.95)])
    assert np.median(ratios, axis=0).max() < 1
    assert np.max(ratios) < 1.3
    assert np.median(ratios, axis=0).min() > 0.3


def test_a_quantile_is_that_of_errors_with_the_tails_of_their_estimated_scales() -> None:
    error = np.array([0.0, 0.0, 0.01, 0.02, 0.05, np.nan])
    found = Estimate({"loss": np.ones(6)}, error, np.zeros(6), "none")
    drawn = np.abs(np.random.default_rng(3).standard_t(8, (200_000, 5)) * error[:5])
    for share in (0.5, 0.8, 0.95):
        assert found.quantile(share) == pytest.approx(np.quantile(drawn, share), rel=0.01)
    assert found.quantile(0.3) == 0
    uncertain = Estimate({"loss": np.ones(2)}, np.array([0.01, np.inf]), np.zeros(2), "none")
    assert uncertain.quantile(0.4) < 0.02
    assert uncertain.quantile(0.5) == np.inf


def test_the_error_is_that_of_the_logarithm_not_of_the_number() -> None:
    loss = two_basins(PLACES)
    one, other = (estimate(known_at(FULL, every(4), scale * loss)) for scale in (1, 1000))
    np.testing.assert_allclose(other.values["loss"], 1000 * one.values["loss"])
    np.testing.assert_allclose(other.error, one.error, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("sample", "correction"),
    [
        (lambda true: true * (1 + 0.2 * PLACES[:, 0]), "ratio"),
        (lambda true: true + 0.1 + 0.05 * PLACES[:, 0], "difference"),
    ],
)
def test_a_sample_is_corrected_by_what_misses_less(sample, correction) -> None:
    true = two_basins(PLACES)
    drawn = known_at(SAMPLED, every(2), sample(true))
    alone = estimate(drawn)
    assert np.median(np.abs(alone.values["loss"] / true - 1)) > 0.02
    found = estimate(known_at(FULL, every(8), true, drawn))
    assert found.correction == correction
    assert np.median(np.abs(found.values["loss"] / true - 1)) < 1e-3
    checked = np.setdiff1d(every(2), every(8))
    assert (found.interpolation[checked] == 0).all()
    assert (found.sampling[checked] > 0).all()
    assert (found.sampling[every(8)] == 0).all()


def test_before_any_correction_the_sampling_error_is_the_sample_s_own() -> None:
    found = estimate(known_at(SAMPLED, every(8), two_basins(PLACES)))
    np.testing.assert_allclose(found.sampling, 0.02)


def test_a_few_corrections_do_not_tell_their_own_error() -> None:
    true = two_basins(PLACES)
    drawn = known_at(SAMPLED, every(4), 1.1 * true)
    few, enough = (estimate(known_at(FULL, every(4)[:n], true, drawn)) for n in (11, 12))
    assert few.sampling[-1] == pytest.approx(0.02)
    assert enough.sampling[-1] < 1e-6


def test_diverged_points_stay_so_and_poison_no_others() -> None:
    true, gone = two_basins(PLACES), PLACES[:, 0] > 1.05
    loss = np.where(gone, np.nan, true)
    found = estimate(known_at(FULL, every(2), loss))
    assert np.isnan(found.values["loss"][gone & (PLACES[:, 0] > 1.2)]).all()
    clear = PLACES[:, 0] < 0.9
    off = np.abs(found.values["loss"][clear] / true[clear] - 1)
    assert off.max() < 0.04
    near = np.abs(PLACES[:, 0] - 13 / 12) < 0.01
    between = near & ~np.isin(np.arange(len(PLACES)), every(2))
    assert np.isinf(found.error[between]).all()


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_a_sample_that_diverged_is_a_plane_that_did(wild) -> None:
    sample = two_basins(PLACES)
    sample[every(8)[-1]] = wild
    found = estimate(known_at(SAMPLED, every(8), sample))
    assert np.isnan(found.values["loss"][-1])
    assert np.isfinite(found.values["loss"][0])


def test_where_all_diverged_nothing_has_a_number() -> None:
    found = estimate(known_at(FULL, every(8), np.full(len(PLACES), np.inf)))
    assert np.isinf(found.values["loss"][every(8)]).all()
    others = np.setdiff1d(np.arange(len(PLACES)), every(8))
    assert np.isnan(found.values["loss"][others]).all()
    assert found.quantile(0.5) == np.inf


def test_scores_stay_between_0_and_1_and_may_be_missing() -> None:
    part = values(two_basins(PLACES))
    part["accuracy"] = np.where(PLACES[:, 0] > 0, 1.0, 0.0)
    which = every(4)
    known = Known.nothing(PLACES).with_values(FULL, which, {k: v[which] for k, v in part.items()})
    accuracy = estimate(known).values["accuracy"]
    assert (accuracy.min(), accuracy.max()) == (0, 1)
    part["accuracy"] = np.full(len(PLACES), np.nan)
    known = Known.nothing(PLACES).with_values(FULL, which, {k: v[which] for k, v in part.items()})
    assert np.isnan(estimate(known).values["accuracy"]).all()


def test_elsewhere_than_at_the_known_places_all_is_interpolated() -> None:
    scattered = np.random.default_rng(1).uniform(-0.5, 1.5, (300, 2))
    loss = two_basins(scattered)
    known = Known.nothing(scattered).with_values(FULL, np.arange(300), values(loss))
    found = estimate(known, PLACES)
    off = np.abs(found.values["loss"] / two_basins(PLACES) - 1)
    assert np.median(off) < 0.005
    assert np.median(off) < found.quantile(0.5)


def test_the_error_of_a_shape_that_is_corrected_away_grows_with_what_is_left() -> None:
    sample = two_basins(PLACES) + 2.0
    drawn = known_at(SAMPLED, every(2), sample)
    most, little = (estimate(known_at(FULL, every(4), sample - off, drawn)) for off in (0.05, 1.95))
    assert (most.correction, little.correction) == ("difference", "difference")
    free = ~drawn.has_sample
    ratio = little.interpolation[free] / most.interpolation[free]
    left = little.values["loss"][free] / most.values["loss"][free]
    np.testing.assert_allclose(ratio, 1 / left, rtol=1e-6)
    assert ratio.max() > 3
