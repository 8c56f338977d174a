"""Merges through a real store and worker: the table, the files, specs that name one question."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.errors import SpecError
from engine.runs import DataSpec, MergeSpec, Store, parse_spec
from engine.runs.worker import Worker
from tests.runs.files_of_users import bring, saved

A, B = "a" * 64, "b" * 64
DATA = DataSpec(name="mnist", samples=50)


def spec(**more) -> MergeSpec:
    return MergeSpec(**{"models": (A, B), "data": DATA, **more})


def test_stored_networks_are_merged_into_a_file_of_their_format(store: Store) -> None:
    shas = []
    for seed in range(3):
        layers = torch.nn.Sequential(
            torch.nn.Linear(784, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)
        )
        with torch.no_grad():
            for number, parameter in enumerate(layers.parameters()):
                draws = torch.Generator().manual_seed(10 * seed + number)
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draws))
        run = bring(store, saved(layers.state_dict()), f"net{seed}.pt")
        shas.append(str(store.result(run).summary["sha256"]))
    asked = spec(models=tuple(shas), repairs=("temperature",))
    run_id = store.submit(asked, "three")
    Worker(store, "compute", "engine.runs.jobs").serve(once=True)
    found = store.result(run_id)
    kinds = [row["kind"] for row in found.summary["rows"]]
    assert kinds == ["input"] * 3 + ["naive", "merged", "repaired", "ensemble"]
    assert found.summary["rows"][0]["title"] == "net0.pt"
    assert found.summary["file"] == "merged.pt"
    merged = read_checkpoint(store.file(run_id, "merged.pt"))
    assert {n: list(t.shape) for n, t in merged.tensors.items()} == {
        **{"0.weight": [8, 784], "0.bias": [8]},
        **{"2.weight": [10, 8], "2.bias": [10]},
    }
    assert list(merged.tensors) == list(layers.state_dict())  # in the order of the input too
    assert store.file(run_id, "permutation-3.safetensors").exists()
    assert store.partial(run_id).summary["proof"]["passed"]


def test_one_question_has_one_name() -> None:
    assert parse_spec(spec().canonical) == spec()
    written_out = spec(method="weight", options={"restarts": 1})
    assert written_out.run_id == spec(method="weight").run_id
    assert spec(method="weight", options={"restarts": 2}).run_id != written_out.run_id
    ordered = spec(repairs=("temperature", "reset", "reset"))
    assert ordered.repairs == ("reset", "temperature")
    assert spec(models=(B, A)).run_id != spec().run_id


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": (A,)}, r"models: .* at least 2 items"),
        ({"models": (A,) * 65}, r"models: .* at most 64 items"),
        ({"method": "glue"}, "method: there is no way to merge called glue; there are merge-many"),
        ({"repairs": ("glue",)}, "repairs: there is no repair 'glue'; allowed: reset"),
        ({"options": {"restarts": 2}}, "options: MergeMany has none to set"),
        ({"method": "weight", "options": {"glue": 2}}, "options: weight matching has no option"),
        ({"repair_samples": 1}, "repair_samples: .* greater than or equal to 2"),
    ],
)
def test_impossible_specs_are_refused(values, message) -> None:
    with pytest.raises(SpecError, match=message):
        spec(**values)
