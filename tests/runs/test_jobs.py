"""The main job through a real worker: to the end, and killed in mid-plane."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from engine.checkpoints import read_checkpoint
from engine.runs import CompareSpec, DataSpec, LocalExecutor, Store
from engine.runs.jobs import JOBS
from engine.runs.spec import _KINDS
from engine.runs.worker import Worker
from tests.runs.conftest import finished, wait_for
from tests.runs.files_of_users import bring, bring_data, data_set, network, saved


def ask(store: Store, plane_points: int = 9) -> CompareSpec:
    """Bring two networks and data; return the question about them."""
    a, b = (
        store.result(bring(store, saved(network(seed)), f"{seed}.pt")).summary["sha256"]
        for seed in (0, 1)
    )
    data = store.result(bring_data(store, data_set(), "mine.npz")).summary["sha256"]
    return CompareSpec(
        a=a,
        b=b,
        data=DataSpec(name="mine.npz", sha256=data, samples=None),
        line_points=5,
        plane_points=plane_points,
    )


def test_every_kind_of_spec_has_a_job() -> None:
    assert set(JOBS) == set(_KINDS) - {"slow"}


@pytest.fixture
def answered(store: Store) -> tuple[Store, str]:
    run_id = store.submit(ask(store), "mine")
    assert Worker(store, "compute", "engine.runs.jobs").serve(once=True) == 0
    return store, run_id


def test_the_main_job_is_answered(answered: tuple[Store, str]) -> None:
    store, run_id = answered
    status = store.status(run_id)
    assert status.state == "done", status.reason
    result = store.result(run_id)
    assert result.arrays["plane_test_loss"].shape == (9, 9)
    assert result.arrays["curve_rebasin_test_loss"].shape == (5,)
    assert result.summary["a"]["name"] == "0.pt"
    assert result.summary["data"]["name"] == "mine.npz"
    assert "seconds" in result.provenance
    partial = store.partial(run_id)
    np.testing.assert_array_equal(
        partial.arrays["plane_test_loss"], result.arrays["plane_test_loss"]
    )
    np.testing.assert_allclose(partial.arrays["plane_u"], result.arrays["plane_u"])
    np.testing.assert_array_equal(
        partial.arrays["curve_naive_train_loss"], result.arrays["curve_naive_train_loss"]
    )
    pi_b = read_checkpoint(store.file(run_id, "pi_b.safetensors"))
    assert set(pi_b.tensors) == set(network(1))
    assert store.file(run_id, "permutation.safetensors").stat().st_size > 0
    assert store.file(run_id, "midpoint.safetensors").stat().st_size > 0


def test_killed_in_mid_plane_the_result_is_identical(store: Store, tmp_path: Path) -> None:
    spec = ask(store, plane_points=33)
    executor = LocalExecutor(store)
    try:
        run_id = store.submit(spec)
        executor.ensure_worker()

        tiles = store.tiles(run_id)

        def planes() -> list[str]:
            return [key for key in tiles.keys() if key.startswith("plane")]  # noqa: SIM118

        wait_for(lambda: len(planes()) >= 2, seconds=120)
        row = store.index.worker("compute")
        assert row is not None
        os.kill(row["pid"], signal.SIGKILL)
        wait_for(lambda: not executor.alive("compute"))
        assert 2 <= len(planes()) < 33 * 33 // 25
        status = finished(executor, run_id, seconds=120)
        assert (status.state, status.attempts) == ("done", 2)
    finally:
        executor.close()
    other = Store(tmp_path / "other", assets=tmp_path / "assets")
    assert other.submit(ask(other, plane_points=33)) == run_id
    Worker(other, "compute", "engine.runs.jobs").serve(once=True)
    assert (store.run_folder(run_id) / "result.npz").read_bytes() == (
        other.run_folder(run_id) / "result.npz"
    ).read_bytes()
