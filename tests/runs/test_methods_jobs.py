"""Methods through a real store and worker: spec, result, permutations, tiles shared by runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import RunError, SpecError
from engine.runs import DataSpec, Store, parse_spec
from engine.runs.methods_jobs import related_tiles
from engine.runs.methods_spec import MethodSpec, MethodsSpec
from engine.runs.worker import Worker
from engine.studies import methods_alignment
from engine.symmetry import Permutation
from tests.runs.files_of_users import bring, bring_data, data_set, network, saved

A, B = "a" * 64, "b" * 64
MNIST = DataSpec(name="mnist")


def spec_of(*methods: str, **more) -> MethodsSpec:
    chosen = tuple(MethodSpec(key=key) for key in methods)
    return MethodsSpec(**{"a": A, "b": B, "data": MNIST, "methods": chosen, **more})


@pytest.fixture
def stored(store: Store) -> tuple[Store, dict]:
    a, b = (
        store.result(bring(store, saved(network(seed)), f"{seed}.pt")).summary["sha256"]
        for seed in (0, 1)
    )
    data = store.result(bring_data(store, data_set(), "mine.npz")).summary["sha256"]
    chosen = DataSpec(name="mine.npz", sha256=data, samples=None)
    return store, {"a": a, "b": b, "data": chosen, "line_points": 3, "repair_samples": 40}


def answer(store: Store, spec: MethodsSpec) -> str:
    run_id = store.submit(spec, "Methods: 0 → 1")
    assert Worker(store, "compute", "engine.runs.jobs").serve(once=True) == 0
    status = store.status(run_id)
    assert (status.state, status.kind) == ("done", "methods"), status.reason
    return run_id


def test_a_run_of_methods_is_answered_and_the_next_one_uses_it(stored, monkeypatch) -> None:
    store, about = stored
    first = answer(store, spec_of("weight", repairs=("repair",), **about))
    result = store.result(first)
    assert result.summary["data"]["name"] == "mine.npz"
    assert result.arrays["test_loss"].shape == (4, 3)
    found = Permutation.load(store.file(first, "permutation-weight.safetensors"))
    assert found.units == 15
    assert result.provenance["methods"]["weight"]["match"] > 0
    partial = store.partial(first)
    assert partial.summary["rows"] == result.summary["rows"]

    asked = []
    real = methods_alignment.run_method

    def run(key, *rest, **more):
        asked.append(key)
        return real(key, *rest, **more)

    monkeypatch.setattr(methods_alignment, "run_method", run)
    second = answer(store, spec_of("weight", "activation", **about))
    assert asked == ["activation"]
    for quantity in ("test_loss", "train_accuracy_se"):
        rows = store.result(second).arrays[quantity]
        np.testing.assert_array_equal(rows[:2], result.arrays[quantity][[0, 2]])
    assert related_tiles(store, spec_of("ste", **{**about, "line_points": 5})) == ()


def test_an_unknown_network_or_data_set_is_refused_at_once(store: Store) -> None:
    with pytest.raises(RunError, match="is not stored here"):
        store.submit(spec_of("weight"))


def test_a_builtin_run_of_methods_is_no_comparison(store: Store) -> None:
    spec = spec_of("weight")
    folder = store.home.parent / "assets" / "runs" / spec.run_id
    write_builtin(folder, spec.canonical)
    damaged = folder.with_name("0" * 16)
    write_builtin(damaged, "{}")
    assert [run.run_id for run in store.list("methods")] == [spec.run_id]
    assert store.list("compare") == ()


def write_builtin(folder: Path, spec: str) -> None:
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec)
    (folder / "result.npz").write_bytes(b"")


def test_defaults_written_out_change_nothing() -> None:
    usual = spec_of("weight", "activation")
    written = MethodsSpec(
        a=A,
        b=B,
        data=MNIST,
        methods=(MethodSpec(key="weight", options={"restarts": 1}), MethodSpec(key="activation")),
    )
    assert usual.run_id == written.run_id
    assert parse_spec(usual.canonical) == usual
    other = MethodSpec(key="activation", options={"mixture": 0.5})
    assert spec_of("weight", methods=(other,)).run_id != spec_of("activation").run_id


def test_repairs_are_a_set() -> None:
    one = spec_of("weight", repairs=("repair", "reset", "repair"))
    assert one.repairs == ("reset", "repair")
    assert one.run_id == spec_of("weight", repairs=("reset", "repair")).run_id


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"methods": ()}, "at least 1 item"),
        ({"methods": ({"key": "magic"},)}, "there is no matching method 'magic'"),
        ({"methods": ({"key": "weight", "options": {"restarts": 0}},)}, "restarts must be"),
        ({"methods": ({"key": "weight"}, {"key": "weight"})}, "weight is asked for twice"),
        ({"methods": ("weight",)}, "methods"),
        ({"methods": ({"key": 3},)}, "key: Input should be a valid string"),
        ({"methods": ({"key": "weight", "options": 5},)}, "valid dictionary"),
        ({"repairs": ("glue",)}, "there is no repair 'glue'"),
        ({"line_points": 24}, "an odd number is needed"),
        ({"repair_samples": 1}, "greater than or equal to 2"),
    ],
)
def test_a_wrong_spec_is_refused(wrong, sentence) -> None:
    with pytest.raises(SpecError, match=sentence):
        spec_of("weight", **wrong)
