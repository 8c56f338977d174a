"""Planes of other kinds as whole questions: what they say, how they resume, end and refuse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.checkpoints import Checkpoint, fingerprint, read_checkpoint
from engine.data import Dataset
from engine.errors import CancelledError, LandscapeError, MismatchError, NonFiniteError, SpecError
from engine.studies.planes import plane
from engine.studies.planes_options import KINDS, PlanesOptions, check_kind
from engine.studies.tiles import MemoryTiles
from tests.landscape.planes.oracle import dense_hessian
from tests.merging.nets import perceptron, planted, traced, weights


def checkpoint(tensors, name="net.safetensors") -> Checkpoint:
    return Checkpoint(tensors, fingerprint(tensors), name, "safetensors")


def perceptrons(count: int, noise: float = 0.2) -> list[Checkpoint]:
    models, _ = planted("mlp", count, noise, torch.float32)
    return [checkpoint(model, f"net{number}.safetensors") for number, model in enumerate(models)]


def samples(seed: int, *shape: int) -> Dataset:
    draws = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randn(64, *shape, generator=draws), torch.arange(64) % 3
    return Dataset.from_tensors(inputs, targets, name="made up", split="test")


@pytest.fixture
def data():
    return {split: samples(seed, 6) for seed, split in enumerate(("train", "test"))}


def loss_of(tensors, dataset) -> float:
    net = perceptron().eval()
    net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    with torch.no_grad():
        return float(F.cross_entropy(net(dataset.inputs).double(), dataset.targets))


def options(**more) -> PlanesOptions:
    return PlanesOptions(**{"resolution": 3, "hessian_samples": 40, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_every_point_is_the_origin_plus_both_axes(kind, data):
    models = perceptrons(KINDS[kind][0])
    result = plane(kind, models, data=data, options=options())
    summary, drawn = result.summary, result.summary["plane"]
    origin = models[-1 if kind == "pca" else 0].tensors
    u, v = result.arrays["plane_u"], result.arrays["plane_v"]
    assert (u[0], u[-1], v[0], v[-1]) == tuple(drawn["extent"])
    along, across = result.axes
    if kind == "three":  # the second axis ends at C, which is not at (0, 1)
        p, q = drawn["positions"]["C"]
        across = {n: (across[n] - p * along[n]) / q for n in across}
    for row, column in ((0, 0), (1, 2), (2, 1)):
        point = {
            name: tensor.double() + u[column] * along[name] + v[row] * across[name]
            for name, tensor in origin.items()
        }
        found = result.arrays["plane_test_loss"][row, column]
        assert found == pytest.approx(loss_of(point, data["test"]), rel=1e-4)
    assert drawn["kind"] == summary["kind"] == kind
    assert drawn["corner_difference"] < 1e-5
    assert drawn["measured"]["lengths"] == pytest.approx([1, 1], rel=1e-5)
    assert drawn["measured"]["corner_error"] == 0
    for row, model in zip(summary["rows"], models, strict=True):
        for split in ("train", "test"):
            own = loss_of(model.tensors, data[split])
            assert row[split]["loss"] == pytest.approx(own, rel=1e-5)
            assert summary["ends"][row["key"].lower()][split]["loss"] == row[split]["loss"]
        assert row["title"] == model.name
    json.dumps(summary, allow_nan=False)


def test_a_trajectory_says_how_far_each_checkpoint_is_off_its_plane(data):
    result = plane("pca", perceptrons(5), data=data, options=options(split="train"))
    rows = result.summary["rows"]
    assert [row["key"] for row in rows] == ["start", "2", "3", "4", "end"]
    assert rows[-1]["place"] == [0, 0]
    assert rows[-1]["off_plane"] == pytest.approx(0, abs=1e-6)
    assert rows[1]["off_plane"] > 0
    shares = result.summary["plane"]["explained"]
    assert 1 > shares[0] > shares[1] > 0
    projected = result.arrays["projected_train_loss"]
    assert projected[-1] == pytest.approx(rows[-1]["train"]["loss"], rel=1e-5)
    along, across = result.axes
    last = perceptrons(5)[-1].tensors
    u, v = result.arrays["trajectory"][1]
    point = {n: t.double() + u * along[n] + v * across[n] for n, t in last.items()}
    assert projected[1] == pytest.approx(loss_of(point, data["train"]), rel=1e-4)
    assert "plane_train_loss" in result.arrays


@pytest.mark.parametrize(("kind", "reference"), [("three", 0), ("pca", -1)])
def test_permuted_copies_become_one_model_once_matched(kind, reference, data):
    copies = perceptrons(3, noise=0.0)
    with pytest.raises(LandscapeError, match="same model"):
        plane(kind, copies, data=data, options=options(matched=True))
    result = plane(kind, perceptrons(3, noise=0.02), data=data, options=options(matched=True))
    apart = plane(kind, perceptrons(3, noise=0.02), data=data, options=options())
    assert sum(result.summary["plane"]["distances"].values()) < 0.5 * sum(
        apart.summary["plane"]["distances"].values()
    )
    assert result.summary["proof"]["passed"]
    assert result.summary["equivalence"]["max_abs_logit_difference"] < 1e-4
    assert result.permutations[reference].moved == 0
    assert result.summary["alignment"]["moved_units"][reference] == 0
    assert max(result.summary["alignment"]["moved_units"]) > 0
    for matched, own in zip(result.summary["rows"], apart.summary["rows"], strict=True):
        assert matched["test"]["loss"] == pytest.approx(own["test"]["loss"], rel=1e-4)


def test_eigenvalues_are_those_of_the_dense_hessian(data):
    (model,) = perceptrons(1)
    result = plane("hessian", [model], data=data, options=options(hessian_samples=64))
    net = perceptron().double()
    net.load_state_dict({name: tensor.double() for name, tensor in model.tensors.items()})
    train = data["train"]
    values = torch.linalg.eigvalsh(dense_hessian(net, train.inputs, train.targets)).flip(0)
    drawn = result.summary["plane"]
    assert drawn["eigenvalues"] == pytest.approx(values[:2].tolist(), rel=1e-3)
    assert max(drawn["residuals"]) < 1e-3 * drawn["eigenvalues"][0]
    assert (drawn["samples"], drawn["unit"]) == (64, 1)


def test_batch_norm_statistics_are_reset_at_every_point():
    program, _ = traced("vgg")
    model = checkpoint(weights(program, 0, torch.float32))
    both = dict.fromkeys(("train", "test"), samples(0, 2, 8, 8))
    results = [
        plane("random", [model], data=both, program=program, options=options(reset=reset))
        for reset in (None, False)
    ]
    losses = [result.arrays["plane_test_loss"] for result in results]
    assert not np.allclose(*losses)
    assert [result.summary["batch_norm"]["reset"] for result in results] == [True, False]
    rows = [result.summary["rows"][0]["test"]["loss"] for result in results]
    assert rows[0] == rows[1] == pytest.approx(losses[1][1, 1], rel=1e-5)


def test_a_resumed_run_has_the_same_bits_and_solves_no_eigenproblem_again(data, monkeypatch):
    (model,) = perceptrons(1)
    whole = plane("hessian", [model], data=data, options=options())
    tiles, asked = MemoryTiles(), []

    def stop() -> bool:
        asked.append(None)
        return tiles.get("corners-test-0000") is not None

    with pytest.raises(CancelledError):
        plane("hessian", [model], data=data, options=options(), tiles=tiles, should_stop=stop)
    assert tiles.get("eigenvectors") is not None
    assert tiles.get("plane-test-0000") is None
    monkeypatch.setattr("engine.studies.planes_layout.top_eigenpairs", None)
    resumed = plane("hessian", [model], data=data, options=options(), tiles=tiles)
    assert resumed.summary == whole.summary
    for name, values in whole.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], values)


def test_damaged_eigenvectors_are_computed_again(data):
    (model,) = perceptrons(1)
    tiles = MemoryTiles()
    tiles.put("eigenvectors", {"vectors": np.zeros((2, 5))})
    first = plane("hessian", [model], data=data, options=options(), tiles=tiles)
    kept = dict(tiles.get("eigenvectors") or {})
    for left in ({"vectors"}, {"vectors", "question"}):
        tiles.put("eigenvectors", {name: kept[name] for name in left})
        second = plane("hessian", [model], data=data, options=options(), tiles=tiles)
        assert first.summary == second.summary


def test_eigenvectors_of_another_question_are_computed_again(data):
    models, tiles = perceptrons(2), MemoryTiles()
    plane("hessian", [models[1]], data=data, options=options(), tiles=tiles)
    other = {"eigenvectors": tiles.get("eigenvectors")}
    tiles = MemoryTiles()
    tiles.put("eigenvectors", other["eigenvectors"])
    found = plane("hessian", [models[0]], data=data, options=options(), tiles=tiles)
    alone = plane("hessian", [models[0]], data=data, options=options())
    assert found.summary == alone.summary


def test_progress_tells_stages_and_geometry_before_the_first_tile(data):
    events = []
    plane("three", perceptrons(3), data=data, options=options(), progress=events.append)
    kinds = [event["kind"] for event in events]
    first_tile = kinds.index("tile")
    known = {}
    for event in events[:first_tile]:
        known |= event.get("summary", {})
    assert known["plane"]["extent"]
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_it_is_written_to_a_folder(data, tmp_path):
    result = plane("random", perceptrons(1), data=data, options=options())
    result.save(tmp_path / "out")
    with np.load(tmp_path / "out" / "result.npz", allow_pickle=False) as arrays:
        assert json.loads(str(arrays["summary"])) == result.summary
        assert arrays["plane_test_loss"].shape == (3, 3)
    axis = read_checkpoint(tmp_path / "out" / "axis-v.safetensors").tensors
    assert torch.equal(axis["0.weight"], result.axes[1]["0.weight"])


@pytest.mark.parametrize(
    ("kind", "count", "more", "message"),
    [
        ("round", 1, {}, "no kind of plane 'round'; there are three, random, pca, hessian"),
        ("three", 2, {}, "a plane of kind 'three' takes 3 checkpoints, not 2"),
        ("random", 2, {}, "a plane of kind 'random' takes one checkpoint, not 2"),
        ("pca", 2, {}, "a plane of kind 'pca' takes 3 to 128 checkpoints, not 2"),
        ("hessian", 1, {"matched": True}, "around one checkpoint: nothing to match"),
    ],
)
def test_a_kind_takes_its_number_of_checkpoints(kind, count, more, message):
    with pytest.raises(SpecError, match=message):
        plane(kind, ["none.pt"] * count, options=options(**more))
    assert all(check_kind(name, fewest, False) is None for name, (fewest, _) in KINDS.items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resolution": 1}, "resolution=1 is not possible"),
        ({"resolution": 258}, "give at most 257 points"),
        ({"extent": (0, 1, 1, 1)}, "is no rectangle"),
        ({"extent": (0, 1, 0, math.inf)}, "is no rectangle"),
        ({"extent": (0, 1)}, "extent takes four numbers, U0,U1,V0,V1, not 2"),
        ({"scaling": "unit"}, "no scaling 'unit'; there are filter, layer, model"),
        ({"split": "both"}, "no split 'both'"),
        ({"hessian_samples": 0}, "at least 1 sample, not 0"),
        ({"tolerance": 0.0}, "tolerance=0.0 is not possible"),
        ({"most_products": 10}, "at least 50 products, not 10"),
        ({"mean": (0.5,)}, "mean and std belong together"),
    ],
)
def test_impossible_options_are_refused(values, message):
    with pytest.raises(SpecError, match=message):
        PlanesOptions(**values)


def test_wrong_checkpoints_are_refused_by_name(data):
    models = perceptrons(3)
    other = dict(models[2].tensors)
    other["2.weight"] = other["2.weight"][:, :5]
    with pytest.raises(MismatchError, match=r"2\.weight"):
        plane("three", [*models[:2], checkpoint(other, "other.pt")], data=data)
    broken = dict(models[0].tensors) | {"0.bias": torch.full((8,), math.nan)}
    with pytest.raises(NonFiniteError, match=r"broken\.pt"):
        plane("random", [checkpoint(broken, "broken.pt")], data=data)
