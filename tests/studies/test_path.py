"""A path as a whole question: its numbers against dense loops, its plane, how it resumes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.checkpoints import Checkpoint, fingerprint, read_checkpoint
from engine.errors import (
    CancelledError,
    DataError,
    LandscapeError,
    MatchingError,
    MismatchError,
    SpecError,
    TrainingError,
)
from engine.landscape.curve import curve
from engine.program import capture
from engine.studies.path import path
from engine.studies.path_options import PathOptions
from engine.studies.path_training import Part, Teller
from engine.studies.plane import PlaneStudy
from engine.studies.stages import Stages
from engine.studies.tiles import MemoryTiles
from engine.training.bend_records import BendProgress
from tests.studies.test_compare import DATA, checkpoint, dataset, network

OPTIONS = PathOptions(epochs=2, batch_size=20, rate=0.01, points=5, plane_points=4)


@pytest.fixture(scope="module")
def pair():
    return checkpoint(network(0), "a.safetensors"), checkpoint(network(1), "b.safetensors")


@pytest.fixture(scope="module")
def result(pair):
    return path(*pair, options=replace(OPTIONS, end="both", bends=2), data=DATA)


def flat(model) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in model.values()])


def loss_of(models, row, data) -> float:
    """Evaluate a combination by plain loops over tensors in float64."""
    module = network(0).double()
    pairs = list(zip(row, models, strict=True))
    module.load_state_dict({n: sum(float(c) * m[n].double() for c, m in pairs) for n in models[0]})
    with torch.no_grad():
        return F.cross_entropy(module(data.inputs.double()), data.targets).item()


def models_of(pair, result, end):
    last = pair[1].tensors if end == "b" else result.matched.pi_b
    return [pair[0].tensors, *result.bends[end], last]


@pytest.mark.parametrize("end", ["b", "pi_b"])
def test_lines_and_curves_equal_dense_loops(pair, result, end):
    models = models_of(pair, result, end)
    assert len(models) == 4
    for split in ("train", "test"):
        for index, t in enumerate(result.arrays["t"]):
            rows = {"path": curve("bezier", 2, [t])[0], "line": (1 - t, 0, 0, t)}
            for line, row in rows.items():
                got = result.arrays[f"{line}_{end}_{split}_loss"][index]
                assert got == pytest.approx(loss_of(models, row, DATA[split]), rel=1e-5)


@pytest.mark.parametrize("end", ["b", "pi_b"])
def test_barriers_and_lengths_are_those_of_the_numbers(pair, result, end):
    told = result.summary["paths"][end]
    for line in ("line", "path"):
        losses = result.arrays[f"{line}_{end}_test_loss"]
        height = losses.max() - (losses[0] + losses[-1]) / 2
        assert told["barriers"][line]["test"]["git_rebasin"] == pytest.approx(height)
        assert told["midpoints"][line]["test"]["loss"] == pytest.approx(losses[2])
    models = [flat(model) for model in models_of(pair, result, end)]
    assert told["lengths"]["straight"] == pytest.approx(float((models[-1] - models[0]).norm()))
    fine = curve("bezier", 2, np.linspace(0, 1, 4001)) @ torch.stack(models)
    length = float(fine.diff(dim=0).norm(dim=1).sum())
    assert told["lengths"]["curve"] == pytest.approx(length, rel=1e-5)
    for bend, found in zip(models[1:-1], told["bends"], strict=True):
        assert found["from_a"] == pytest.approx(float((bend - models[0]).norm()), rel=1e-5)
        assert found["from_end"] == pytest.approx(float((bend - models[-1]).norm()), rel=1e-5)
    own = [loss_of(models_of(pair, result, end), row, DATA["test"]) for row in torch.eye(4)]
    assert [m["test"]["loss"] for m in told["models"]] == pytest.approx(own, rel=1e-5)
    assert result.arrays[f"arc_{end}"][[0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("end", ["b", "pi_b"])
def test_the_plane_goes_through_the_ends_and_the_furthest_bend(pair, result, end):
    told = result.summary["paths"][end]["plane"]
    models = models_of(pair, result, end)
    third = told["through"]
    off = [bend["off_line"] for bend in result.summary["paths"][end]["bends"]]
    assert off[third - 1] == max(off)
    p, q = told["positions"]["bend"]
    assert told["bends"][third - 1] == pytest.approx([p, q])
    assert told["positions"]["B" if end == "b" else "pi_b"] == [1.0, 0.0]
    u, v = result.arrays[f"plane_{end}_u"], result.arrays[f"plane_{end}_v"]
    for i, j in ((0, 0), (3, 1)):
        second = u[j] - p * v[i] / q
        row = [1 - second - v[i] / q, second, v[i] / q]
        expected = loss_of([models[0], models[-1], models[third]], row, DATA["test"])
        got = result.arrays[f"plane_{end}_test_loss"][i, j]
        assert got == pytest.approx(expected, rel=1e-4)
    drawn = np.array(told["curve"])
    assert drawn[[0, -1]] == pytest.approx(np.array([[0, 0], [1, 0]]), abs=1e-6)
    assert u[0] < drawn[:, 0].min()
    assert v[-1] > drawn[:, 1].max()
    assert u[-1] - u[0] == pytest.approx(v[-1] - v[0])
    assert told["orthonormality"] < 1e-9
    assert told["corner_difference"] < 1e-5
    assert told["measured"]["corner_error"] == 0
    assert told["curve_off"] > 0  # the other bend is elsewhere
    basins = result.summary["paths"][end]["basins"]
    assert list(basins["passes"]) == ["A|B" if end == "b" else "A|pi_b"]


def test_the_permuted_end_is_proved_to_be_b(pair, result):
    summary = result.summary
    assert summary["proof"]["passed"]
    assert summary["equivalence"]["max_abs_logit_difference"] < 1e-5
    assert summary["matching"]["title"] == "weight matching"
    ends = [summary["paths"][end]["models"][-1]["test"]["loss"] for end in ("b", "pi_b")]
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)
    assert flat(result.matched.pi_b).norm() == pytest.approx(flat(pair[1].tensors).norm())


def test_a_path_to_b_needs_no_symmetry_and_one_bend_lies_in_its_plane(pair, monkeypatch):
    monkeypatch.setattr("engine.studies.path_matching.derive_symmetry", None)
    found = path(*pair, options=replace(OPTIONS, shape="polygon"), data=DATA)
    assert found.matched is None
    assert "proof" not in found.summary
    assert found.summary["paths"]["b"]["plane"]["curve_off"] < 1e-6
    assert found.summary["training"]["weight_decay_of"] == "the point"
    told = found.summary["paths"]["b"]["training"]
    assert (told["steps"], told["taken"], told["diverged"]) == (6, 6, None)
    assert found.arrays["training_b_loss"].shape == found.arrays["training_b_t"].shape == (6,)


def test_what_was_finished_is_not_computed_again(pair, monkeypatch):
    tiles = MemoryTiles()
    options = replace(OPTIONS, end="pi_b")
    whole = path(*pair, options=options, data=DATA, tiles=tiles)

    def fails(*arguments, **named):
        raise AssertionError("computed again")

    monkeypatch.setattr("engine.training.bends._Training.step", fails)
    monkeypatch.setattr("engine.studies.methods_alignment.run_method", fails)
    monkeypatch.setattr("engine.studies.evaluation.evaluate", fails)
    again = path(*pair, options=options, data=DATA, tiles=tiles)
    assert again.summary == whole.summary
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])


def test_a_path_cancelled_in_training_goes_on_to_the_same_bits(pair):
    whole = path(*pair, options=OPTIONS, data=DATA)
    tiles, seen = MemoryTiles(), []
    with pytest.raises(CancelledError, match="in step 4 of the curve's training"):
        path(
            *pair,
            options=OPTIONS,
            data=DATA,
            tiles=tiles,
            progress=seen.append,
            should_stop=lambda: sum(event["kind"] == "training" for event in seen) == 3,
        )
    rest: list = []
    again = path(*pair, options=OPTIONS, data=DATA, tiles=tiles, progress=rest.append)
    assert [event["step"] for event in rest if event["kind"] == "training"] == [4, 5, 6]
    assert again.summary == whole.summary
    for name, bend in whole.bends["b"][0].items():
        assert torch.equal(bend, again.bends["b"][0][name])


def test_progress_rises_and_tells_the_training_before_the_curves(pair):
    events: list = []
    path(*pair, options=replace(OPTIONS, end="both"), data=DATA, progress=events.append)
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    told = [(event["end"], event["step"]) for event in events if event["kind"] == "training"]
    assert told == [(end, step) for end in ("b", "pi_b") for step in range(1, 7)]
    kinds = [event["kind"] for event in events]
    assert "tile" not in kinds[: len(kinds) - 1 - kinds[::-1].index("training")]
    last = [event for event in events if event["kind"] == "partial"][-1]
    assert set(last["summary"]["paths"]["pi_b"]["plane"]) >= {"extent", "positions", "curve"}


def test_the_matching_of_the_end_is_told_as_it_goes(pair):
    events: list = []
    asked = replace(
        OPTIONS, end="pi_b", method="ste", method_options={"steps": 8, "batch_size": 20}
    )
    path(*pair, options=asked, data=DATA, progress=events.append)
    told = [e for e in events if e.get("stage") == "match" and e["eta"] is not None]
    shares = [(event["fraction"] - 0.08) / 0.03 for event in told]
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert told[-1]["eta"] == 0


def test_the_time_left_counts_the_training_that_is_still_to_come(pair):
    events: list = []
    asked = replace(OPTIONS, end="both", plane_points=0)
    path(*pair, options=asked, data=DATA, progress=events.append)
    left = [e["eta"] for e in events if e.get("stage") == "train" and e["eta"] is not None]
    assert len(left) == 12  # 6 steps of each
    assert left[5] > 0
    assert left[11] == 0


def test_a_training_before_another_takes_as_long_again(monkeypatch):
    now = iter((0.0, 2.0, 4.0))
    monkeypatch.setattr("engine.studies.path_training.time.perf_counter", lambda: next(now))
    events: list = []
    tell = Teller(Stages(events.append), "b", Part((0.1, 0.5), more=1))
    for step in (1, 2):
        tell(BendProgress(step, 4, 0.5))
    told = [event for event in events if event["kind"] == "stage"]
    assert [event["eta"] for event in told] == pytest.approx([2 * 7, 2 * 6])
    assert [event["fraction"] for event in told] == pytest.approx([0.2, 0.3])


def test_norms_are_reset_along_the_way_and_the_bend_has_statistics_of_its_own():
    def normed(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4))
        for _ in range(3):
            layers(DATA["train"].inputs)
        return layers.eval()

    program = capture(normed(0), torch.zeros(2, 12))
    nets = [checkpoint(normed(seed), f"net{seed}.pt") for seed in (0, 1)]
    found = path(*nets, options=OPTIONS, data=DATA, program=program)
    (bend,) = found.bends["b"]
    assert set(bend) == set(nets[0].tensors)
    assert int(bend["1.num_batches_tracked"]) == 3
    hidden = F.linear(DATA["train"].inputs, bend["0.weight"], bend["0.bias"])
    torch.testing.assert_close(bend["1.running_mean"], hidden.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(bend["1.running_var"], hidden.var(0), rtol=1e-4, atol=1e-5)
    assert found.summary["batch_norm"]["reset"] is True
    plain = path(*nets, options=replace(OPTIONS, reset=False), data=DATA, program=program)
    assert torch.equal(plain.bends["b"][0]["1.running_var"], bend["1.running_var"])
    assert plain.arrays["path_b_test_loss"][2] != found.arrays["path_b_test_loss"][2]


def test_half_precision_bends_are_written_in_half(pair, tmp_path):
    halves = [
        Checkpoint(tensors, fingerprint(tensors), one.name, "npz")
        for one in pair
        for tensors in [{n: t.half() for n, t in one.tensors.items()}]
    ]
    found = path(*halves, options=replace(OPTIONS, plane_points=0), data=DATA)
    assert found.summary["paths"]["b"].get("plane") is None
    found.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        *("bend-b-1.npz", "result.npz", "summary.json", "provenance.json"),
    }
    back = read_checkpoint(tmp_path / "bend-b-1.npz")
    assert {tensor.dtype for tensor in back.tensors.values()} == {torch.float16}
    assert all(torch.equal(back.tensors[n], t) for n, t in found.bends["b"][0].items())


def test_a_permuted_end_is_written_with_its_permutation(result, tmp_path):
    result.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        *(f"bend-{end}-{k}.safetensors" for end in ("b", "pi_b") for k in (1, 2)),
        *("result.npz", "summary.json", "provenance.json"),
        *("permutation.safetensors", "pi_b.safetensors"),
    }


def test_a_bend_that_stays_on_the_line_has_no_plane(pair):
    slow = replace(OPTIONS, rate=1e-12)
    told = path(*pair, options=slow, data=DATA).summary["paths"]["b"]
    assert "lies on the straight line" in told["plane"]["problem"]
    assert told["basins"] is None
    same = path(pair[0], pair[0], options=replace(OPTIONS, epochs=1), data=DATA)
    assert "lies on the straight line" in same.summary["paths"]["b"]["plane"]["problem"]


def test_a_training_that_diverges_is_a_result_with_its_reason(pair):
    wild = replace(OPTIONS, optimiser="sgd", rate=1e6, weight_decay=1e6, epochs=5)
    found = path(*pair, options=wild, data=DATA)
    told = found.summary["paths"]["b"]
    assert "The training diverged in step " in told["training"]["diverged"]
    assert told["training"]["last_loss"] is None
    assert told["training"]["taken"] < told["training"]["steps"] == 15
    height = told["barriers"]["path"]["test"]["git_rebasin"]
    assert height is None or height > 1e3
    assert math.isfinite(told["barriers"]["line"]["test"]["git_rebasin"])


def test_given_starts_are_where_the_bends_begin(pair):
    still = replace(OPTIONS, rate=1e-12)
    begun = network(7).state_dict()
    found = path(*pair, options=still, data=DATA, start=[begun])
    torch.testing.assert_close(found.bends["b"][0]["0.weight"], begun["0.weight"])
    with pytest.raises(SpecError, match="begin with are those of one curve; ask for one end"):
        path(*pair, options=replace(OPTIONS, end="both"), data=DATA, start=[begun])


def test_why_there_is_no_plane_is_said_as_it_is(pair, monkeypatch):
    def refused(*_):
        raise LandscapeError("The grid is too fine.")

    monkeypatch.setattr(PlaneStudy, "lay_out", refused)
    told = path(*pair, options=OPTIONS, data=DATA).summary["paths"]["b"]
    assert told["plane"]["problem"] == "The grid is too fine."


def test_what_cannot_be_asked_is_refused(pair):
    with pytest.raises(SpecError, match=r"extent \(1, 0, 0, 1\) is no rectangle"):
        PathOptions(extent=(1, 0, 0, 1))
    with pytest.raises(SpecError, match="ends at b, pi_b or both, not at 'c'"):
        PathOptions(end="c")
    with pytest.raises(TrainingError, match="takes 1 to 8 bends, not 0"):
        PathOptions(bends=0)
    with pytest.raises(SpecError, match="line_points=4 is not possible"):
        PathOptions(points=4)
    with pytest.raises(MatchingError, match="no matching method 'glue'"):
        PathOptions(method="glue")
    with pytest.raises(TrainingError, match=r"batch size 100 is larger .*\(60 samples\)"):
        path(*pair, options=replace(OPTIONS, batch_size=100), data=DATA)
    wide = checkpoint(nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4)), "wide.pt")
    with pytest.raises(MismatchError, match=r"a\.safetensors and wide\.pt do not have the same"):
        path(pair[0], wide, options=OPTIONS, data=DATA)
    images = {split: dataset(split, (5,)) for split in ("train", "test")}
    with pytest.raises(DataError, match="drawn"):
        path(*pair, options=OPTIONS, data=images)


@pytest.mark.parametrize("changed", ["model", "option"])
def test_a_training_of_another_question_is_not_gone_on_with(pair, changed):
    options, tiles = replace(OPTIONS, plane_points=0), MemoryTiles()
    if changed == "model":
        path(
            pair[0],
            checkpoint(network(5), "c.safetensors"),
            options=options,
            data=DATA,
            tiles=tiles,
        )
    else:
        path(*pair, options=replace(options, rate=0.02), data=DATA, tiles=tiles)
    left = MemoryTiles()
    left.put("bends-b", tiles.get("bends-b"))
    found = path(*pair, options=options, data=DATA, tiles=left)
    alone = path(*pair, options=options, data=DATA)
    assert found.summary == alone.summary


def test_the_bends_of_half_precision_networks_are_evaluated_as_they_are_written(pair):
    halves = [
        replace(
            given,
            tensors={n: t.half() if t.is_floating_point() else t for n, t in given.tensors.items()},
        )
        for given in pair
    ]
    found = path(*halves, options=replace(OPTIONS, plane_points=0), data=DATA)
    (bend,) = found.bends["b"]
    assert all(t.dtype == torch.float16 for t in bend.values() if t.is_floating_point())
    said = found.summary["paths"]["b"]["models"][1]["test"]["loss"]
    assert said == pytest.approx(loss_of([bend], [1.0], DATA["test"]), rel=1e-6)
