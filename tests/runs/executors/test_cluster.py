"""Tiles on a real Ray cluster of two nodes on this machine, one of which is lost on the way."""

from __future__ import annotations

import signal
import warnings
from dataclasses import replace

import pytest

from engine.errors import CancelledError, RunError
from engine.runs.executors import OnRay
from tests.runs.executors.tiny import evaluated, in_turn, same, work_and_tiles

NODE = {"num_cpus": 1, "object_store_memory": 10**8}


@pytest.fixture(scope="module")
def job():
    work, tiles = work_and_tiles()
    return work, tiles, in_turn(work, tiles)


@pytest.fixture
def cluster(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        import ray
        from ray.cluster_utils import Cluster

        monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "include_dashboard": False,
                "object_store_memory": 10**8,
            },
        )
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


@pytest.mark.timeout(240)
def test_a_lost_node_s_tiles_are_evaluated_again(job, cluster):
    work, tiles, expected = job
    second = cluster.add_node(**NODE)
    more = tuple(replace(tile, key=f"{tile.key}-{n}") for n in range(4) for tile in tiles)

    def lose(found) -> None:
        if len(found) == 3:
            cluster.remove_node(second, allow_graceful=False)

    before = signal.getsignal(signal.SIGTERM)
    found = evaluated(OnRay(cluster.address), work, more, after_each=lose)
    assert signal.getsignal(signal.SIGTERM) == before
    assert same(found, {tile.key: expected[tile.key[:-2]] for tile in more})

    kept = {}
    with pytest.raises(CancelledError, match="finished tiles are kept"):
        evaluated(
            OnRay(cluster.address),
            work,
            more,
            after_each=kept.update,
            should_stop=lambda: bool(kept),
        )
    assert 0 < len(kept) < len(more)

    other = replace(work, recipe=replace(work.recipe, fingerprint="0"))
    with pytest.raises(RunError, match="came out differently in another process"):
        evaluated(OnRay(cluster.address), other, tiles)


def test_no_cluster_is_said_with_its_address(job):
    work, tiles, _ = job
    with pytest.raises(RunError, match=r"No Ray cluster answers at 127\.0\.0\.1:1: .*`ray start"):
        evaluated(OnRay("127.0.0.1:1"), work, tiles)
