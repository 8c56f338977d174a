"""Comparisons whose plane is not evaluated at every point: values, stops, resumption, words."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine.errors import CancelledError, SpecError
from engine.landscape import ResetData
from engine.landscape.progressive import StopReason
from engine.studies.compare import compare
from engine.studies.evaluation import Work
from engine.studies.options import CompareOptions
from engine.studies.plane_rounds import PlaneRounds
from engine.studies.plane_sample import PlaneSample
from engine.studies.tiles import MemoryTiles
from tests.studies.test_compare import StopAfter, checkpoint, dataset, network

OPTIONS = CompareOptions(line_points=3, plane_points=13, reset_samples=40)
PREVIEW = replace(OPTIONS, plane_mode="progressive")
MANY = {split: dataset(split, samples=1000) for split in ("train", "test")}


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


@pytest.fixture(scope="module")
def exact(pair):
    return compare(*pair, options=OPTIONS, data=MANY)


@pytest.fixture(scope="module")
def preview(pair):
    return compare(*pair, options=replace(PREVIEW, plane_accuracy=0.003), data=MANY)


def test_points_evaluated_on_all_data_have_the_bits_of_the_full_plane(exact, preview):
    done = preview.arrays["plane_evaluated"] == 2
    assert 25 <= done.sum() < done.size
    for name in ("loss", "loss_se", "accuracy", "accuracy_se"):
        key = f"plane_test_{name}"
        assert np.array_equal(preview.arrays[key][done], exact.arrays[key][done])
    assert (preview.arrays["plane_test_error"][done] == 0).all()


def test_the_others_are_as_close_as_is_said(exact, preview):
    off = np.abs(preview.arrays["plane_test_loss"] / exact.arrays["plane_test_loss"] - 1)
    estimate = preview.summary["plane"]["estimate"]
    assert np.median(off) <= estimate["error_median"] <= 0.003
    assert np.quantile(off, 0.95) <= estimate["error_p95"] <= 0.015
    error = preview.arrays["plane_test_error"]
    parts = [preview.arrays[f"plane_test_error_{name}"] for name in ("interpolation", "sampling")]
    np.testing.assert_allclose(error, np.hypot(*parts))
    drawn = np.abs(np.random.default_rng(0).standard_t(8, (4000, 1)) * error.reshape(-1))
    assert np.quantile(drawn, 0.5) == pytest.approx(estimate["error_median"], rel=0.02)


def test_it_says_why_it_stopped_and_that_basins_are_estimates(exact, preview):
    estimate = preview.summary["plane"]["estimate"]
    assert estimate["stop_reason"] == "accuracy"
    assert "Stopped at the accuracy that was asked for" in estimate["stop_sentence"]
    assert (
        f"{estimate['points_full']} points were evaluated on all data"
        in (estimate["stop_sentence"])
    )
    evaluated = preview.arrays["plane_evaluated"]
    assert estimate["points_full"] == (evaluated == 2).sum()
    assert estimate["points_sample"] == (evaluated == 1).sum()
    assert (estimate["sample"], estimate["sample_of"]) == (250, 1000)
    assert preview.summary["plane"]["mode"] == "progressive"
    assert preview.summary["basins"]["estimated"] is True
    assert "they are estimates" in preview.summary["basins"]["note"]
    assert exact.summary["plane"]["estimate"] is None
    assert exact.summary["basins"]["estimated"] is False


def test_without_an_accuracy_it_goes_on_to_the_exact_plane(pair):
    options = replace(PREVIEW, plane_points=6, plane_accuracy=0.0)
    found = compare(*pair, options=options, data=MANY)
    full = compare(*pair, options=replace(OPTIONS, plane_points=6), data=MANY)
    for name in ("loss", "loss_se", "accuracy", "accuracy_se"):
        assert np.array_equal(found.arrays[f"plane_test_{name}"], full.arrays[f"plane_test_{name}"])
    assert found.summary["plane"]["estimate"]["stop_reason"] == "complete"
    assert "The plane is exact" in found.summary["plane"]["estimate"]["stop_sentence"]
    assert found.summary["basins"] == full.summary["basins"]


def test_it_stops_before_a_round_that_does_not_fit_into_the_time(pair):
    options = replace(PREVIEW, plane_accuracy=0.0, plane_seconds=1e-9)
    estimate = compare(*pair, options=options, data=MANY).summary["plane"]["estimate"]
    assert (estimate["stop_reason"], estimate["rounds"]) == ("time", 1)
    assert "would not fit into the time" in estimate["stop_sentence"]


def test_the_time_holds_to_the_last_point():
    found = SimpleNamespace(quantile=lambda share: 0.0)
    rounds = SimpleNamespace(
        _design=SimpleNamespace(following=lambda *given: "a last round", mode="progressive"),
        _known=None,
        _options=replace(PREVIEW, plane_accuracy=0.0, plane_seconds=10.0),
        _seconds=9.0,
        _work=3.0,
        _cost=lambda wanted: 1.0,
    )
    assert PlaneRounds._reason(rounds, found) is StopReason.TIME


@pytest.mark.parametrize("tiles", [6, 13, 18])
def test_a_resumed_run_is_identical_bit_for_bit(pair, preview, tiles):
    broken = StopAfter(tiles)
    options = replace(PREVIEW, plane_accuracy=0.003)
    with pytest.raises(CancelledError):
        compare(*pair, options=options, data=MANY, tiles=broken, should_stop=broken.stop)
    resumed = compare(*pair, options=options, data=MANY, tiles=broken.cache)
    for name, values in preview.npz_arrays().items():
        again = resumed.npz_arrays()[name]
        assert np.array_equal(values, again, equal_nan=values.dtype.kind == "f"), name


def test_a_run_resumed_after_its_last_round_stops_where_it_had_stopped(pair, monkeypatch):
    options = replace(PREVIEW, plane_accuracy=0.0, plane_seconds=3600.0)
    cache = MemoryTiles()
    ticks = iter(range(0, 10**9, 700))
    with monkeypatch.context() as patched:
        patched.setattr("engine.studies.plane_rounds.time", Clock(ticks))
        slow = compare(*pair, options=options, data=MANY, tiles=cache)
    again = compare(*pair, options=options, data=MANY, tiles=cache)
    assert slow.summary["plane"]["estimate"]["stop_reason"] == "time"
    assert again.summary == slow.summary


def test_the_time_of_an_interrupted_round_counts(pair, monkeypatch):
    broken = StopAfter(8)
    options = replace(PREVIEW, plane_accuracy=0.0, plane_seconds=1e6)
    with monkeypatch.context() as patched:
        patched.setattr("engine.studies.plane_rounds.time", Clock(iter(range(0, 10**9, 700))))
        with pytest.raises(CancelledError):
            compare(*pair, options=options, data=MANY, tiles=broken, should_stop=broken.stop)
    spent = [broken.cache.get(f"spent-test-{number:04d}") for number in range(3)]
    first = max(number for number, found in enumerate(spent) if found)
    assert broken.cache.get(f"estimate-test-{first:04d}") is None  # it had not ended
    compare(*pair, options=options, data=MANY, tiles=broken.cache)
    kept = [broken.cache.get(f"estimate-test-{first + n:04d}") for n in (0, 1)]
    before = 0.0 if kept[0] is None else float(kept[0]["seconds"][0])
    assert float(kept[1]["seconds"][0]) >= before + float(spent[first]["seconds"][0]) >= 700


class Clock:
    """Stands in for the module `time`: every look at it is much later."""

    def __init__(self, ticks):
        self._ticks = ticks

    def perf_counter(self):
        return float(next(self._ticks))


def test_the_plane_is_there_before_the_curves_and_the_bar_never_falls(pair):
    events = []
    compare(*pair, options=PREVIEW, data=MANY, progress=events.append)
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    keys = [event["key"] for event in events if event["kind"] == "tile"]
    assert keys.index("round0000-test-sample-0000") < keys.index("curve-naive-train-0000")
    shown = [e["summary"]["plane"]["estimate"] for e in events if "plane" in e.get("summary", {})]
    known = [estimate["points_sample"] for estimate in shown if estimate]
    assert known[0] == 25
    assert [estimate["rounds"] for estimate in shown if estimate] == list(range(1, len(known) + 1))


def test_scattered_points_are_exact_and_the_grid_says_that_it_is_none(pair, exact):
    options = replace(OPTIONS, plane_mode="sobol", plane_sobol=128)
    found = compare(*pair, options=options, data=MANY)
    u, v = found.arrays["scatter_u"], found.arrays["scatter_v"]
    models = (pair[0].tensors, pair[1].tensors, found.pi_b)
    p, q = found.summary["plane"]["positions"]["pi_b"]
    for at in (0, 31, 127):
        third = v[at] / q
        second = u[at] - p * third
        expected = loss_at(models, (1 - second - third, second, third))
        assert found.arrays["scatter_test_loss"][at] == pytest.approx(expected, rel=1e-4)
    off = np.abs(found.arrays["plane_test_loss"] / exact.arrays["plane_test_loss"] - 1)
    assert np.median(off) < found.summary["plane"]["estimate"]["error_median"] < 0.02
    assert not found.arrays["plane_evaluated"].any()
    assert found.summary["plane"]["estimate"]["stop_reason"] == "complete"
    assert found.summary["plane"]["estimate"]["points_full"] == 128
    assert found.summary["basins"]["estimated"] is True


def loss_at(models, coefficients):
    from tests.studies.test_compare import loss_of

    return loss_of(models, coefficients, MANY["test"])


def test_forts_grid_has_21_columns_and_20_rows(pair):
    data = {split: dataset(split, samples=8) for split in ("train", "test")}
    options = replace(OPTIONS, plane_points=21, plane_rows=20, reset_samples=8)
    found = compare(*pair, options=options, data=data)
    assert found.arrays["plane_test_loss"].shape == (20, 21)
    assert np.isfinite(found.arrays["plane_test_loss"]).all()
    plane = found.summary["plane"]
    assert (plane["resolution"], plane["rows"], plane["mode"]) == (21, 20, "full")


def test_a_sample_is_drawn_where_it_saves_most_of_the_work():
    def sample(samples, reset=None):
        data = {"test": dataset("test", samples=samples)}
        return PlaneSample.drawn(Work(None, None, data, reset, "cpu"), "test", 0)  # type: ignore[arg-type]

    assert sample(499) is None
    found = sample(4000)
    assert found is not None
    assert (found.count, found.total, found.cost) == (400, 4000, 0.1)
    assert len(found.work.data[found.split]) == 400
    again = ResetData((dataset("train", samples=3000).inputs,))
    assert sample(1000, again) is None


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"plane_mode": "coarse"}, "is unknown; choose one of full, progressive, sobol"),
        ({"plane_mode": "sobol", "plane_points": 0}, "needs a plane: give plane_points"),
        ({"plane_rows": 1}, "plane_rows=1 is not possible: give at least 2 rows"),
        ({"plane_accuracy": 0.1}, "belong to plane_mode='progressive'"),
        ({"plane_seconds": 1.0}, "belong to plane_mode='progressive'"),
        ({"plane_sobol": 64}, "belongs to plane_mode='sobol'"),
        ({"plane_mode": "progressive", "plane_accuracy": 2}, "a relative error from 0 to 1"),
        ({"plane_mode": "progressive", "plane_seconds": 0}, "give a time above 0"),
        ({"plane_mode": "sobol", "plane_sobol": 100}, "a power of two from 64 to 4096"),
    ],
)
def test_planes_that_make_no_sense_are_refused(choice, reason):
    with pytest.raises(SpecError, match=reason):
        CompareOptions(**choice)
