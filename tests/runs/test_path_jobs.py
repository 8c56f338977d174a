"""Paths through a real store and worker: files, partial results, specs that name one question."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.errors import SpecError
from engine.runs import DataSpec, PathSpec, Store, parse_spec
from engine.runs.events import EventLog
from engine.runs.files import write_bytes
from engine.runs.worker import Worker
from tests.runs.files_of_users import bring, saved

A, B = "a" * 64, "b" * 64
DATA = DataSpec(name="mnist", samples=50)


def spec(**more) -> PathSpec:
    return PathSpec(**{"a": A, "b": B, "data": DATA, **more})


def test_stored_networks_get_curves_and_bends_of_their_format(store: Store) -> None:
    shas = []
    for seed in range(2):
        torch.manual_seed(seed)
        net = torch.nn.Sequential(torch.nn.Linear(784, 6), torch.nn.ReLU(), torch.nn.Linear(6, 10))
        run = bring(store, saved(net.state_dict()), f"net{seed}.pt")
        shas.append(str(store.result(run).summary["sha256"]))
    asked = spec(
        a=shas[0],
        b=shas[1],
        end="both",
        epochs=2,
        batch_size=25,
        points=3,
        plane_points=3,
        rate=0.01,
    )
    run_id = store.submit(asked, "two")
    Worker(store, "compute", "engine.runs.jobs").serve(once=True)
    found, partial = store.result(run_id), store.partial(run_id)
    assert found.summary["files"] == ["bend-b-1.pt", "bend-pi_b-1.pt"]
    for name in found.summary["files"]:
        assert set(read_checkpoint(store.file(run_id, name)).tensors) == {
            *("0.weight", "0.bias", "2.weight", "2.bias")
        }
    assert store.file(run_id, "permutation.safetensors").exists()
    assert store.file(run_id, "pi_b.safetensors").exists()
    for name in ("line_b_test_loss", "path_pi_b_train_accuracy", "plane_b_test_loss", "plane_b_u"):
        np.testing.assert_array_equal(partial.arrays[name], found.arrays[name])
    assert partial.arrays["plane_pi_b_done"].all()
    steps = [e["step"] for e in store.events(run_id).events if e.get("kind") == "training"]
    assert steps == [1, 2, 3, 4] * 2


def test_an_unfinished_path_shows_what_it_has(store: Store) -> None:
    asked = spec(points=3, plane_points=3)
    folder = store.home / "runs" / asked.run_id
    write_bytes(folder / "spec.json", asked.canonical.encode())
    tiles = store.tiles(asked.run_id)
    tiles.put("path-b-test-0000", {"index": np.array([0, 2]), "loss": np.array([1.0, 2.0])})
    tiles.put("path-pi_b-test-0000", {"index": np.arange(3), "loss": np.ones(3)})  # not asked
    tiles.put("line-b-test-0000", {"index": np.array([7]), "loss": np.ones(1)})
    tiles.put("plane-b-test-0000", {"index": np.array([4]), "loss": np.array([0.5])})
    tiles.put("bends-b", {"bends": np.zeros(2)})
    arrays = store.partial(asked.run_id).arrays
    np.testing.assert_array_equal(arrays["path_b_test_loss"], [1, np.nan, 2])
    assert set(arrays) == {"path_b_test_loss", "t"}  # where the plane lies is not known yet
    log = EventLog(folder / "events.jsonl")
    log.append(
        {"kind": "partial", "summary": {"paths": {"b": {"plane": {"extent": [0, 1, 2, 4]}}}}}
    )
    log.close()
    arrays = store.partial(asked.run_id).arrays
    assert arrays["plane_b_v"].tolist() == [2, 3, 4]
    assert arrays["plane_b_test_loss"][1, 1] == 0.5
    assert arrays["plane_b_done"].sum() == 1


def test_one_question_has_one_name() -> None:
    assert parse_spec(spec().canonical) == spec()
    assert spec(method="ste", options={"steps": 3}).run_id == spec().run_id  # nothing is matched
    matched = spec(end="pi_b", options={"restarts": 1})
    assert matched.run_id == spec(end="pi_b").run_id != spec().run_id
    assert spec(end="pi_b", method="ste").run_id != matched.run_id
    assert spec(end="both").ends == ("b", "pi_b")
    assert spec(extent=(0, 1, 0, 1)).run_id != spec().run_id


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"end": "c"}, "end: .*'b', 'pi_b' or 'both'"),
        ({"bends": 0}, "bends: .*greater than or equal to 1"),
        ({"rate": 0.0}, "rate: .*greater than 0"),
        ({"points": 4}, "points: an odd number is needed, so that the midpoint is a point; try 5"),
        ({"plane_points": 2}, "plane_points: .*0 .no plane. or from 3 to 257"),
        ({"method": "glue"}, "method: there is no matching method 'glue'"),
        ({"end": "pi_b", "options": {"glue": 1}}, "options: weight matching has no option glue"),
        ({"extent": (1, 0, 0, 1)}, "is empty; allowed: u0 < u1 and v0 < v1"),
    ],
)
def test_impossible_specs_are_refused(values, message) -> None:
    with pytest.raises(SpecError, match=message):
        spec(**values)
