"""What an unfinished run shows: its tiles merged, its known summary, damage left out."""

from __future__ import annotations

import numpy as np
import pytest

from engine.runs import CompareSpec, Store
from engine.runs.events import EventLog
from engine.runs.files import write_bytes
from engine.runs.results import ESTIMATES

SPEC = CompareSpec.model_validate(
    {
        "a": "a" * 64,
        "b": "b" * 64,
        "data": {"name": "mnist"},
        "plane_points": 3,
        "line_points": 5,
        "extent": (0, 1, 0, 2),
    }
)


@pytest.fixture
def started(store: Store) -> Store:
    """A store in which SPEC was begun."""
    folder = store.home / "runs" / SPEC.run_id
    write_bytes(folder / "spec.json", SPEC.canonical.encode())
    return store


def test_nothing_is_there_before_the_first_tile(started: Store) -> None:
    partial = started.partial(SPEC.run_id)
    assert (dict(partial.arrays), dict(partial.summary), partial.tiles) == ({}, {}, ())


def test_finished_tiles_are_merged_and_the_rest_is_nan(started: Store) -> None:
    tiles = started.tiles(SPEC.run_id)
    tiles.put("plane-test-0000", {"index": np.array([0, 8]), "loss": np.array([1.0, 2.0])})
    tiles.put("plane-test-0001", {"index": np.array([4]), "loss": np.array([np.inf])})
    tiles.put("curve-naive-train-0000", {"index": np.arange(2), "accuracy": np.array([0.5, 0.6])})
    partial = started.partial(SPEC.run_id)
    nan = np.nan
    expected = np.array([[1, nan, nan], [nan, np.inf, nan], [nan, nan, 2]])
    np.testing.assert_array_equal(partial.arrays["plane_test_loss"], expected)
    np.testing.assert_array_equal(partial.arrays["plane_done"], np.eye(3, dtype=bool))
    np.testing.assert_array_equal(partial.arrays["plane_u"], [0, 0.5, 1])
    np.testing.assert_array_equal(partial.arrays["plane_v"], [0, 1, 2])
    np.testing.assert_array_equal(
        partial.arrays["curve_naive_train_accuracy"], [0.5, 0.6, nan, nan, nan]
    )
    np.testing.assert_array_equal(partial.arrays["lambdas"], [0, 0.25, 0.5, 0.75, 1])
    assert "plane_test_accuracy" not in partial.arrays
    assert partial.tiles == ("curve-naive-train-0000", "plane-test-0000", "plane-test-0001")


def test_a_first_look_is_shown_until_there_are_better_points(started: Store) -> None:
    tiles = started.tiles(SPEC.run_id)
    tiles.put("look-test", {"index": np.array([0, 8]), "loss": np.array([1.5, 2.5])})
    arrays = started.partial(SPEC.run_id).arrays
    assert arrays["plane_test_loss"][0, 0] == 1.5
    np.testing.assert_array_equal(arrays["plane_sampled"], arrays["plane_done"])
    assert arrays["plane_sampled"].sum() == 2
    tiles.put("plane-test-0000", {"index": np.array([4]), "loss": np.array([1.0])})
    arrays = started.partial(SPEC.run_id).arrays
    assert np.isnan(arrays["plane_test_loss"][0, 0])
    assert arrays["plane_done"].sum() == 1
    assert not arrays["plane_sampled"].any()


def test_tiles_that_do_not_fit_are_left_out(started: Store) -> None:
    tiles = started.tiles(SPEC.run_id)
    tiles.put("plane-test-0000", {"index": np.array([9]), "loss": np.ones(1)})
    tiles.put("plane-test-0001", {"index": np.array([-1]), "loss": np.ones(1)})
    tiles.put("plane-test-0002", {"index": np.array([0.5]), "loss": np.ones(1)})
    tiles.put("plane-test-0003", {"loss": np.ones(1)})
    tiles.put("plane-test-0004", {"index": np.array([1]), "loss": np.ones(2)})
    tiles.put("ends-test", {"index": np.arange(3), "loss": np.ones(3)})
    tiles.put("matching", {"p": np.arange(3)})
    (tiles.folder / "plane-test-0005.npz").write_bytes(b"half")
    arrays = started.partial(SPEC.run_id).arrays
    assert "plane_test_loss" not in arrays
    assert arrays["plane_done"].sum() == 1


def test_what_is_known_of_the_summary_is_shown(started: Store) -> None:
    log = EventLog(started.run_folder(SPEC.run_id) / "events.jsonl")
    log.append({"kind": "partial", "summary": {"model": 1, "plane": 2}})
    log.append({"kind": "partial", "summary": {"plane": 3}})
    log.append({"kind": "partial", "summary": "nonsense"})
    log.append({"kind": "sweep", "summary": {"x": 1}})
    log.close()
    assert started.partial(SPEC.run_id).summary == {"model": 1, "plane": 3}


def test_a_tile_of_texts_is_left_out(started: Store) -> None:
    tiles = started.tiles(SPEC.run_id)
    tiles.put("curve-naive-test-0000", {"index": np.array([0]), "loss": np.array(["much"])})
    assert dict(started.partial(SPEC.run_id).arrays) == {}


def test_a_plane_in_rounds_is_shown_as_last_estimated(store: Store) -> None:
    spec = CompareSpec.model_validate(
        {**SPEC.model_dump(), "plane_mode": "progressive", "plane_rows": 4}
    )
    write_bytes(store.home / "runs" / spec.run_id / "spec.json", spec.canonical.encode())
    tiles = store.tiles(spec.run_id)
    assert "plane_done" not in store.partial(spec.run_id).arrays
    for number, level in ((1, 3.0), (2, 2.0), (3, 1.0)):
        found = {name: np.full(12, level) for name in ESTIMATES}
        tiles.put(f"estimate-test-{number:04d}", {**found, "evaluated": np.ones(12, np.int8)})
    tiles.put("estimate-test-0003", {"loss": np.ones(9)})
    tiles.put("estimate-test-0004", {})
    (tiles.folder / "estimate-test-0005.npz").write_bytes(b"half")
    tiles.put("round0001-test-0000", {"index": np.array([0]), "loss": np.array([9.0])})
    arrays = store.partial(spec.run_id).arrays
    assert {name for name in arrays if name.startswith("plane_test")} == {
        f"plane_test_{name}" for name in ESTIMATES
    }
    np.testing.assert_array_equal(arrays["plane_test_error"], np.full((4, 3), 2.0))
    np.testing.assert_array_equal(arrays["plane_evaluated"], np.ones((4, 3)))
    assert arrays["plane_done"].all()
    assert not arrays["plane_sampled"].any()
    assert (len(arrays["plane_u"]), len(arrays["plane_v"])) == (3, 4)


def test_a_full_plane_need_not_be_square(store: Store) -> None:
    spec = CompareSpec.model_validate({**SPEC.model_dump(), "plane_rows": 4})
    write_bytes(store.home / "runs" / spec.run_id / "spec.json", spec.canonical.encode())
    tiles = store.tiles(spec.run_id)
    tiles.put("plane-test-0000", {"index": np.array([11]), "loss": np.array([1.0])})
    arrays = store.partial(spec.run_id).arrays
    assert arrays["plane_test_loss"][3, 2] == 1
    np.testing.assert_allclose(arrays["plane_v"], [0, 2 / 3, 4 / 3, 2])
