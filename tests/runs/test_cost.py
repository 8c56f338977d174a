"""The estimate of a run's time: work counted by hand, speeds measured and kept."""

from __future__ import annotations

import pytest

from engine.runs.cost import USUAL_PREVIEW, Speed, keep_speed, kept_speed, measured, work_of

SUMMARY = {
    "data": {"test": {"samples": 20}, "train": {"samples": 10}},
    "plane": {"resolution": 5, "rows": 4, "mode": "full", "estimate": None},
}
PROVENANCE = {"seconds": {"match": 2.0, "data": 1.0, "evaluate": 40.0}}


def test_work_is_counted_point_by_point():
    work = work_of(20, 3, test=20, train=10, extra=7)
    lines = 3 * 3 * (20 + 7) + 3 * 3 * (10 + 7)
    assert work.fixed == lines + 3 * 20 + 3 * 20 + 3 * 10
    assert work.plane == 20 * (20 + 7)
    assert work.statistics == 7 * (20 + 3 * 3 * 2)
    assert work_of(20, 3, 20, 10).statistics == 0


def test_the_same_run_takes_the_same_time_and_more_samples_more():
    speed = measured(SUMMARY, PROVENANCE, 3)
    assert speed is not None
    assert speed.seconds(work_of(20, 3, 20, 10)) == pytest.approx(43.0)
    assert speed.seconds(work_of(20, 3, 80, 40)) == pytest.approx(163.0)
    assert speed.preview == USUAL_PREVIEW
    assert speed.preview_seconds(work_of(0, 3, 20, 10)) == speed.seconds(work_of(0, 3, 20, 10))


def test_a_preview_tells_its_own_share():
    estimate = {"work": 5.0, "accuracy": 0.01}
    plane = {**SUMMARY["plane"], "mode": "progressive", "estimate": estimate}
    speed = measured({**SUMMARY, "plane": plane}, PROVENANCE, 3)
    assert speed is not None
    assert speed.preview == 0.25
    assert speed.preview_seconds(work_of(20, 3, 20, 10)) == pytest.approx(43.0)


def test_without_measured_seconds_or_a_plane_there_is_no_speed():
    assert measured(SUMMARY, {}, 3) is None
    assert measured({**SUMMARY, "plane": None}, PROVENANCE, 3) is None


def test_speeds_are_kept_by_key_and_a_damaged_file_is_begun_anew(tmp_path):
    assert kept_speed(tmp_path, "mlp") is None
    keep_speed(tmp_path, "mlp", Speed(1.0, 2.0))
    keep_speed(tmp_path, "vgg", Speed(3.0, 4.0, 0.5))
    assert kept_speed(tmp_path, "mlp") == Speed(1.0, 2.0)
    assert kept_speed(tmp_path, "vgg") == Speed(3.0, 4.0, 0.5)
    (tmp_path / "speeds.json").write_text("{")
    assert kept_speed(tmp_path, "mlp") is None
    keep_speed(tmp_path, "mlp", Speed(1.0, 2.0))
    assert kept_speed(tmp_path, "mlp") == Speed(1.0, 2.0)
