"""A merge as a whole question: its table, its proof, what it writes, how it resumes and ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.checkpoints import Checkpoint, fingerprint, read_checkpoint
from engine.data import Dataset
from engine.errors import (
    CancelledError,
    CheckpointError,
    MatchingError,
    MismatchError,
    RepairError,
    SpecError,
)
from engine.studies.merge import merge
from engine.studies.merge_files import check_suffix, write_like
from engine.studies.merge_options import MergeOptions
from engine.studies.tiles import MemoryTiles
from tests.merging.nets import perceptron, planted, traced, weights


def checkpoint(tensors, name="net.safetensors", **more) -> Checkpoint:
    return Checkpoint(tensors, fingerprint(tensors), name, "safetensors", **more)


def perceptrons(count: int, noise: float = 0.05) -> list[Checkpoint]:
    models, _ = planted("mlp", count, noise, torch.float32)
    return [checkpoint(model, f"net{number}.safetensors") for number, model in enumerate(models)]


@pytest.fixture
def data():
    return {split: samples(seed, 6) for seed, split in enumerate(("train", "test"))}


def samples(seed: int, *shape: int) -> Dataset:
    draws = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randn(64, *shape, generator=draws), torch.arange(64) % 3
    return Dataset.from_tensors(inputs, targets, name="made up", split="test")


def rows(result):
    return {row["key"]: row for row in result.summary["rows"]}


def test_permuted_copies_are_merged_into_what_they_were(data):
    models = perceptrons(3, noise=0.0)
    result = merge(models, data=data)
    for name, tensor in models[0].tensors.items():
        assert torch.allclose(result.merged[name], tensor, atol=1e-6)
        assert result.merged[name].dtype == tensor.dtype
    found = rows(result)
    for key in ("input-02", "merged", "ensemble"):
        for split in ("train", "test"):
            expected = found["input-01"][split]["loss"]
            assert found[key][split]["loss"] == pytest.approx(expected, rel=1e-4)
    assert found["naive"]["test"]["loss"] != pytest.approx(expected, rel=1e-2)
    assert len(result.summary["equivalences"]) == 3
    assert result.summary["equivalence"]["max_abs_logit_difference"] < 1e-4
    assert result.summary["proof"]["passed"]
    assert result.summary["alignment"]["moved_units"][0] == 0


@pytest.mark.parametrize("method", ["cycle-consistent", "weight", "activation"])
def test_the_table_tells_the_truth(method, data):
    models = perceptrons(3)
    options = MergeOptions(method=method, repairs=("temperature",))
    result = merge(models, data=data, options=options)
    found = rows(result)
    assert list(found) == [
        *(f"input-{n:02d}" for n in (1, 2, 3)),
        *("naive", "merged", "repaired", "ensemble"),
    ]
    assert found["repaired"]["title"] == "merged, softmax temperature"
    net = perceptron().eval()
    probabilities = []
    for number, model in enumerate(models, start=1):
        net.load_state_dict(dict(model.tensors))
        with torch.no_grad():
            logits = net(data["test"].inputs)
        probabilities.append(logits.softmax(1))
        loss = float(torch.nn.functional.cross_entropy(logits, data["test"].targets))
        own = found[f"input-{number:02d}"]
        assert own["test"]["loss"] == pytest.approx(loss, rel=1e-5)
        assert own["title"] == model.name
    mean = torch.stack(probabilities).mean(0)
    chosen = mean[torch.arange(len(mean)), data["test"].targets]
    assert found["ensemble"]["test"]["loss"] == pytest.approx(float(-chosen.log().mean()), rel=1e-5)
    inputs = [found[f"input-{n:02d}"]["test"]["loss"] for n in (1, 2, 3)]
    assert result.summary["mean"]["test"]["loss"] == pytest.approx(sum(inputs) / 3)
    assert found["repaired"]["train"]["loss"] <= found["merged"]["train"]["loss"] + 1e-6
    _, symmetry = traced("mlp")
    moved = [symmetry.apply(p, m.tensors) for p, m in zip(result.permutations, models, strict=True)]
    plain = {name: sum(own[name] for own in moved) / 3 for name in moved[0]}
    net.load_state_dict(plain)
    with torch.no_grad():
        logits = net(data["test"].inputs)
    loss = float(torch.nn.functional.cross_entropy(logits, data["test"].targets))
    assert found["merged"]["test"]["loss"] == pytest.approx(loss, rel=1e-5)


def test_batch_norm_statistics_are_reset_and_counters_kept():
    program, _ = traced("vgg")
    models = []
    for seed in range(2):
        tensors = weights(program, seed, torch.float32)
        counters = {n.replace("running_mean", "num_batches_tracked") for n in tensors}
        tensors |= {n: torch.tensor(seed + 4) for n in counters if n.endswith("tracked")}
        models.append(checkpoint(tensors))
    made = samples(0, 2, 8, 8)
    both = {"train": made, "test": made}
    plain = merge(models, data=both, program=program)
    reset = merge(models, data=both, program=program, options=MergeOptions(repairs=("reset",)))
    assert set(reset.merged) == set(models[0].tensors)
    changed = {n for n in reset.merged if not torch.equal(reset.merged[n], plain.merged[n])}
    assert changed == {n for n in reset.merged if "running" in n}
    assert all(int(t) == 4 for n, t in reset.merged.items() if n.endswith("tracked"))


def test_a_killed_run_goes_on_from_what_it_has(data, monkeypatch):
    models, tiles = perceptrons(3), MemoryTiles()
    whole = merge(models, data=data, tiles=tiles)
    monkeypatch.setattr("engine.studies.merge_alignment.align", None)
    monkeypatch.setattr("engine.studies.merge_scores.ensemble", None)
    again = merge(models, data=data, tiles=tiles)
    assert again.summary == whole.summary
    assert again.permutations == whole.permutations


def test_tiles_of_another_question_are_computed_again(data):
    models = perceptrons(2)
    expected = merge(models, data=data).summary
    tiles = MemoryTiles()
    tiles.put("alignment", {"0 0": np.arange(3)})
    tiles.put("score-merged-test", {"score": np.zeros(1)})
    assert merge(models, data=data, tiles=tiles).summary == expected


def test_progress_rises_and_a_cancel_ends_it(data):
    events: list = []
    merge(perceptrons(2), data=data, progress=events.append)
    fractions = [event["fraction"] for event in events if event["kind"] == "stage"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {e["stage"] for e in events if e["kind"] == "stage"} >= {"match", "repair", "evaluate"}
    for stage, message in (("match", "while matching"), ("evaluate", "finished rows are kept")):
        seen: list = []
        with pytest.raises(CancelledError, match=message):
            merge(
                perceptrons(2),
                data=data,
                progress=seen.append,
                should_stop=lambda seen=seen, stage=stage: seen[-1].get("stage") == stage,
            )


def test_what_cannot_be_merged_is_refused(data):
    models = perceptrons(2)
    with pytest.raises(SpecError, match="takes 2 to 64 checkpoints, not 1"):
        merge(models[:1], data=data)
    wide = checkpoint({**models[0].tensors, "0.bias": torch.zeros(9)}, "wide.npz")
    with pytest.raises(MismatchError, match=r"net0\.safetensors and wide\.npz do not have the"):
        merge([*models, wide], data=data)
    broken = checkpoint({**models[0].tensors, "0.bias": torch.full((8,), math.nan)}, "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt holds values that are no numbers"):
        merge([*models, broken], data=data)
    with pytest.raises(RepairError, match="no BatchNorm with running statistics"):
        merge(models, data=data, options=MergeOptions(repairs=("reset",)))
    with pytest.raises(SpecError, match="there is no repair 'glue'; there are reset, "):
        MergeOptions(repairs=("glue",))
    with pytest.raises(SpecError, match="repairs need at least 2 samples, not 1"):
        MergeOptions(repair_samples=1)
    with pytest.raises(MatchingError, match="no way to merge called glue"):
        MergeOptions(method="glue")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".npz"])
def test_the_merged_file_reads_back_in_the_format_of_the_inputs(suffix, tmp_path, data):
    result = merge(perceptrons(2), data=data)
    path = tmp_path / f"merged{suffix}"
    result.write(path)
    back = read_checkpoint(path)
    assert {n: t.dtype for n, t in back.tensors.items()} == {
        n: t.dtype for n, t in result.merged.items()
    }
    assert all(torch.equal(back.tensors[n], t) for n, t in result.merged.items())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    result.save(tmp_path / "all")
    assert {p.name for p in (tmp_path / "all").iterdir()} == {
        *("merged.safetensors", "summary.json", "permutation-1.safetensors"),
        "permutation-2.safetensors",
    }


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"written as \.safetensors, .* not as '\.txt'"):
        check_suffix("merged.txt")
    half = {"w": torch.zeros(2, dtype=torch.bfloat16)}
    with pytest.raises(CheckpointError, match=r"w is in bfloat16, which \.npz does not know"):
        write_like(half, tmp_path / "m.npz")
    write_like(half, tmp_path / "m.pt")
    assert torch.load(tmp_path / "m.pt", weights_only=True)["w"].dtype == torch.bfloat16


def test_half_precision_stays_half(data):
    models, _ = planted("mlp", 2, 0.05, torch.float32)
    halves = [checkpoint({n: t.half() for n, t in model.items()}) for model in models]
    result = merge(halves, data=data)
    assert {tensor.dtype for tensor in result.merged.values()} == {torch.float16}
