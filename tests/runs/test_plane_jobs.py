"""Planes of other kinds through a real store and worker, what is seen of one before its end."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import SpecError
from engine.landscape.direction import SCALINGS
from engine.runs import DataSpec, PlaneSpec, Store, parse_spec
from engine.runs.events import EventLog
from engine.runs.files import write_bytes
from engine.runs.plane_spec import KINDS
from engine.runs.worker import Worker
from engine.studies import planes_options
from tests.runs.files_of_users import bring, bring_data, data_set, network, saved

A, B, C = "a" * 64, "b" * 64, "c" * 64
DATA = DataSpec(name="mnist", samples=50)


def spec(plane="random", **more) -> PlaneSpec:
    models = (A, B, C)[: KINDS[plane][0]]
    return PlaneSpec(**{"plane": plane, "models": models, "data": DATA, **more})


def test_stored_networks_get_a_plane_with_its_files(store: Store) -> None:
    shas = []
    for seed in range(3):
        run = bring(store, saved(network(seed)), f"net{seed}.pt")
        shas.append(str(store.result(run).summary["sha256"]))
    made = store.result(bring_data(store, data_set(), "mine.npz")).summary
    data = DataSpec(name="mine.npz", sha256=made["sha256"])
    asked = [
        spec("three", models=tuple(shas), data=data, resolution=3, matched=True),
        spec("hessian", models=(shas[0],), data=data, resolution=3, split="train"),
    ]
    runs = [store.submit(one, "plane") for one in asked]
    for _ in runs:
        Worker(store, "compute", "engine.runs.jobs").serve(once=True)
    three, hessian = (store.result(run) for run in runs)
    assert [row["title"] for row in three.summary["rows"]] == [f"net{n}.pt" for n in range(3)]
    assert three.arrays["plane_test_loss"].shape == (3, 3)
    assert three.summary["data"]["title"] == "mine.npz"
    assert store.file(runs[0], "permutation-3.safetensors").exists()
    assert store.file(runs[1], "axis-u.safetensors").exists()
    assert hessian.arrays["plane_train_loss"].shape == (3, 3)
    partial = store.partial(runs[1])
    assert partial.arrays["plane_done"].all()
    np.testing.assert_array_equal(
        partial.arrays["plane_train_loss"], hessian.arrays["plane_train_loss"]
    )
    np.testing.assert_allclose(partial.arrays["plane_u"], hessian.arrays["plane_u"])
    assert partial.summary["plane"]["eigenvalues"] == hessian.summary["plane"]["eigenvalues"]


@pytest.fixture
def started(store: Store) -> Store:
    """A store in which a plane of 3×3 points was begun."""
    write_bytes(store.home / "runs" / BEGUN.run_id / "spec.json", BEGUN.canonical.encode())
    return store


BEGUN = spec(resolution=3)


def test_a_plane_sharpens_while_it_is_computed(started: Store) -> None:
    tiles = started.tiles(BEGUN.run_id)
    tiles.put("plane-test-0000", {"index": np.array([0, 8]), "loss": np.array([1.0, 2.0])})
    assert dict(started.partial(BEGUN.run_id).arrays) == {}  # its extent is not known yet
    log = EventLog(started.run_folder(BEGUN.run_id) / "events.jsonl")
    log.append({"kind": "partial", "summary": {"plane": {"extent": [-1, 1, 0, 2]}}})
    log.close()
    tiles.put("plane-test-0001", {"index": np.array([9]), "loss": np.ones(1)})
    tiles.put("plane-test-0002", {"index": np.array([0.5]), "loss": np.ones(1)})
    tiles.put("plane-test-0003", {"index": np.array([4]), "loss": np.array(["much"])})
    tiles.put("ends-test-0000", {"index": np.array([1]), "loss": np.ones(1)})
    arrays = started.partial(BEGUN.run_id).arrays
    nan = np.nan
    expected = np.array([[1, nan, nan], [nan, nan, nan], [nan, nan, 2]])
    np.testing.assert_array_equal(arrays["plane_test_loss"], expected)
    np.testing.assert_array_equal(arrays["plane_done"], np.eye(3, dtype=bool))
    np.testing.assert_array_equal(arrays["plane_v"], [0, 1, 2])


def test_one_question_has_one_name() -> None:
    assert parse_spec(spec().canonical) == spec()
    assert spec(tolerance=0.1, matched=True).run_id == spec().run_id
    assert spec("hessian", scaling="layer").run_id == spec("hessian").run_id
    assert spec("hessian", tolerance=0.1).run_id != spec("hessian").run_id
    assert spec("three", models=(B, A, C)).run_id != spec("three").run_id
    assert spec(scaling="layer").run_id != spec().run_id


def test_the_spec_knows_what_the_study_knows() -> None:
    assert dict(KINDS) == dict(planes_options.KINDS)
    assert all(spec(scaling=scaling).scaling == scaling for scaling in SCALINGS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"plane": "three", "models": (A, B)}, "models: a three plane takes 3, not 2"),
        ({"models": (A, B)}, "models: a random plane takes 1, not 2"),
        ({"plane": "pca", "models": (A, B)}, "models: a pca plane takes 3 to 128, not 2"),
        ({"plane": "pca", "models": (A,) * 129}, r"models: .* at most 128 items"),
        ({"resolution": 2}, "resolution: .* greater than or equal to 3"),
        ({"extent": (1, 0, 0, 1)}, r"extent \(1.0, 0.0, 0.0, 1.0\) is empty"),
        ({"scaling": "glue"}, "scaling: Input should be 'filter', 'layer' or 'model'"),
        ({"tolerance": -5, "matched": True}, "tolerance: .* greater than 0"),
        ({"plane": "hessian", "tolerance": 0}, "tolerance: .* greater than 0"),
    ],
)
def test_impossible_specs_are_refused(values, message) -> None:
    with pytest.raises(SpecError, match=message):
        PlaneSpec(**{"plane": "random", "models": (A,), "data": DATA, **values})
    with pytest.raises(SpecError, match="plane: Input should be 'three'"):
        PlaneSpec(**{"plane": "round", "models": (A,), "data": DATA})
