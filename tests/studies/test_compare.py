"""The main job on tiny pairs, against dense loops written here, and resumed from tiles."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.checkpoints import Checkpoint, fingerprint
from engine.data import Dataset
from engine.errors import CancelledError, DataError, MismatchError, NonFiniteError
from engine.families import build_program, recognise
from engine.program import capture
from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from engine.studies.tiles import MemoryTiles
from engine.symmetry import derive_symmetry
from tests.models import MODELS

OPTIONS = CompareOptions(line_points=5, plane_points=6, reset_samples=40)


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 4))


def checkpoint(module: nn.Module, name: str) -> Checkpoint:
    tensors = {key: value.detach().clone() for key, value in module.state_dict().items()}
    return Checkpoint(tensors, fingerprint(tensors), name, "safetensors")


def dataset(split: str, shape: tuple[int, ...] = (12,), samples: int = 60) -> Dataset:
    generator = torch.Generator().manual_seed(7 if split == "train" else 8)
    inputs = torch.randn(samples, *shape, generator=generator)
    targets = torch.randint(0, 3, (samples,), generator=generator)
    return Dataset(inputs, targets, "drawn", split, 3, "0" * 64, (0.0,), (1.0,))


DATA = {split: dataset(split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


@pytest.fixture(scope="module")
def result(pair):
    return compare(*pair, options=OPTIONS, data=DATA)


def loss_of(models, coefficients, data) -> float:
    """Evaluate ½-style combinations by plain loops over tensors in float64."""
    module = network(0).double()
    state = {
        name: sum(c * model[name].double() for c, model in zip(coefficients, models, strict=True))
        for name in models[0]
    }
    module.load_state_dict(state)
    with torch.no_grad():
        return F.cross_entropy(module(data.inputs.double()), data.targets).item()


def test_curves_and_plane_equal_dense_loops(pair, result):
    models = (pair[0].tensors, pair[1].tensors, result.pi_b)
    edges = {"naive": (0, 1), "rebasin": (0, 2), "orbit": (1, 2)}
    for edge, (first, second) in edges.items():
        for split in ("train", "test"):
            for index, lam in enumerate(result.arrays["lambdas"]):
                row = [0.0, 0.0, 0.0]
                row[first], row[second] = 1 - lam, lam
                expected = loss_of(models, row, DATA[split])
                got = result.arrays[f"curve_{edge}_{split}_loss"][index]
                assert got == pytest.approx(expected, rel=1e-5)
    p, q = result.summary["plane"]["positions"]["pi_b"]
    for i, v in enumerate(result.arrays["plane_v"]):
        for j, u in enumerate(result.arrays["plane_u"]):
            third = v / q
            second = u - p * third
            expected = loss_of(models, (1 - second - third, second, third), DATA["test"])
            assert result.arrays["plane_test_loss"][i, j] == pytest.approx(expected, rel=1e-4)


def test_positions_are_those_of_gram_and_schmidt(pair, result):
    def flat(tensors):
        return torch.cat([t.double().flatten() for t in tensors.values()])

    a, b, c = flat(pair[0].tensors), flat(pair[1].tensors), flat(result.pi_b)
    e1 = (b - a) / (b - a).norm()
    rest = (c - a) - (c - a) @ e1 * e1
    unit = float((b - a).norm())
    plane = result.summary["plane"]
    assert plane["unit"] == pytest.approx(unit)
    expected = (float((c - a) @ e1) / unit, float(rest.norm()) / unit)
    assert plane["positions"]["pi_b"] == pytest.approx(expected)
    assert plane["corner_difference"] < 1e-6
    assert plane["orthonormality"] < 1e-6


def test_the_permuted_model_is_the_same_function(result):
    assert result.summary["equivalence"]["max_abs_logit_difference"] < 1e-5
    assert result.summary["equivalence"]["samples"] == 60
    assert result.summary["proof"]["passed"] is True
    ends = result.summary["ends"]
    assert ends["b"]["test"]["loss"] == pytest.approx(ends["pi_b"]["test"]["loss"], rel=1e-5)
    assert ends["b"]["test"]["accuracy"] == ends["pi_b"]["test"]["accuracy"]
    assert (
        result.summary["matching"]["objective"] > result.summary["matching"]["objective_identity"]
    )


def test_the_midpoint_is_the_mean_of_a_and_the_permuted_b(pair, result):
    for name, tensor in result.midpoint.items():
        expected = (pair[0].tensors[name] + result.pi_b[name]) / 2
        torch.testing.assert_close(tensor, expected)


def test_layers_say_how_far_they_moved(pair, result):
    rows = {row["parameter"]: row for row in result.summary["layers"]}
    assert list(rows) == list(pair[0].tensors)
    moved = (result.permutation["0"] != torch.arange(8)).float().mean().item()
    assert rows["0.bias"]["moved"] == pytest.approx(moved)
    assert rows["4.bias"]["moved"] is None
    before = F.cosine_similarity(pair[0].tensors["0.bias"], pair[1].tensors["0.bias"], dim=0)
    assert rows["0.bias"]["cosine_before"] == pytest.approx(before.item(), abs=1e-6)


def test_a_planted_permutation_leaves_no_barrier(pair):
    a = pair[0]
    program = build_program(recognise(a.tensors))
    symmetry = derive_symmetry(program)
    planted = symmetry.random(torch.Generator().manual_seed(3))
    tensors = symmetry.apply(planted, a.tensors)
    b = Checkpoint(tensors, fingerprint(tensors), "b", "safetensors")
    result = compare(a, b, options=OPTIONS, data=DATA)
    for name, tensor in result.pi_b.items():
        assert torch.equal(tensor, a.tensors[name])
    assert result.summary["barriers"]["rebasin"]["test"]["git_rebasin"] == pytest.approx(
        0, abs=1e-6
    )
    assert "π(B) is A itself" in result.summary["plane"]["degenerate"]


class StopAfter:
    """A cache that asks to stop once some tiles are there."""

    def __init__(self, tiles: int) -> None:
        self.cache = MemoryTiles()
        self.left = tiles

    def get(self, key):
        return self.cache.get(key)

    def put(self, key, arrays):
        self.left -= 1
        self.cache.put(key, arrays)

    def stop(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("tiles", [1, 4, 9])
def test_a_resumed_run_is_identical_bit_for_bit(pair, result, tiles):
    broken = StopAfter(tiles)
    with pytest.raises(CancelledError):
        compare(*pair, options=OPTIONS, data=DATA, tiles=broken, should_stop=broken.stop)
    resumed = compare(*pair, options=OPTIONS, data=DATA, tiles=broken.cache)
    for name, values in result.npz_arrays().items():
        assert np.array_equal(
            values, resumed.npz_arrays()[name], equal_nan=values.dtype.kind == "f"
        )


@pytest.mark.parametrize(
    "foreign",
    [
        lambda kept: {name: np.atleast_1d(values)[:1] for name, values in kept.items()},
        lambda kept: {"other": np.zeros(3)},
        lambda kept: {**kept, next(iter(kept)): np.arange(5)[::-1] * 2},
    ],
    ids=["cut", "other names", "other values"],
)
def test_foreign_tiles_are_computed_again(pair, result, foreign):
    cache = MemoryTiles()
    compare(*pair, options=OPTIONS, data=DATA, tiles=cache)
    for key in ("matching", "ends-test", "curve-naive-train-0000"):
        kept = cache.get(key)
        assert kept is not None, key
        cache.put(key, foreign(kept))
    again = compare(*pair, options=OPTIONS, data=DATA, tiles=cache)
    assert again.permutation == result.permutation
    for name, values in result.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)


def test_events_rise_to_the_end(pair):
    events = []
    compare(*pair, options=OPTIONS, data=DATA, progress=events.append)
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [event["sweep"] for event in events if event["kind"] == "sweep"]
    tiles = [event for event in events if event["kind"] == "tile"]
    known = {key for event in events if event["kind"] == "partial" for key in event["summary"]}
    assert {"a", "model", "matching", "equivalence", "plane"} <= known
    assert tiles[-1]["done"] == tiles[-1]["total"] == len(tiles)


def test_batch_norm_is_reset_by_default_and_not_when_told(tmp_path):
    model = next(m for m in MODELS if m.name == "vgg-batchnorm")
    a, b = (checkpoint(model.module(seed), f"{seed}") for seed in (0, 1))
    program = capture(model.module(), model.inputs(2))
    data = {split: dataset(split, model.input_shape) for split in ("train", "test")}
    on = compare(a, b, options=OPTIONS, data=data, program=program)
    off = compare(
        a,
        b,
        options=CompareOptions(**{**vars(OPTIONS), "reset": False}),
        data=data,
        program=program,
    )
    assert on.summary["batch_norm"] == {"layers": 2, "reset": True, "reset_samples": 40}
    assert off.summary["batch_norm"]["reset"] is False
    assert on.summary["ends"] == off.summary["ends"]
    assert on.summary["barriers"] != off.summary["barriers"]
    assert on.summary["plane"]["corner_difference"] < 1e-5
    on.save(tmp_path)
    stored = np.load(tmp_path / "result.npz", allow_pickle=False)
    assert json.loads(str(stored["summary"])) == on.summary


def test_wrong_pairs_and_data_are_named(pair):
    a, b = pair
    other = checkpoint(nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4)), "c")
    with pytest.raises(MismatchError, match=r"0\.weight"):
        compare(a, other, data=DATA)
    with pytest.raises(MismatchError, match=r"a\.safetensors lacks"):
        compare(a, b, data=DATA, program=capture(MODELS[1].module(), MODELS[1].inputs(2)))
    tensors = dict(b.tensors) | {"0.bias": torch.full((8,), torch.nan)}
    with pytest.raises(NonFiniteError, match=r"0\.bias"):
        compare(a, Checkpoint(tensors, fingerprint(tensors), "nan", "npz"), data=DATA)
    many = {
        s: Dataset(d.inputs, d.targets, "many", s, 9, d.sha256, d.mean, d.std)
        for s, d in DATA.items()
    }
    with pytest.raises(DataError, match="many has 9 classes, but the model has 4 outputs"):
        compare(a, b, data=many)
