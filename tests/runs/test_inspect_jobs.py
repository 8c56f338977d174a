"""Inspect through a real store and worker: headers before the file is read, network, self-test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.errors import RunError, SpecError
from engine.runs import HeadersSpec, IngestSpec, InspectSpec, SelfTestSpec, Spec, Store, parse_spec
from engine.runs.worker import Worker
from tests.runs.files_of_users import bring, network, saved, serve_files

SHA = "0" * 64


def answer(store: Store, spec: Spec) -> str:
    run_id = store.submit(spec, spec.kind)
    Worker(store, spec.lane, "engine.runs.jobs").serve(once=True)
    return run_id


@pytest.fixture
def stored(store: Store) -> tuple[Store, str]:
    run_id = bring(store, saved(network(0)), "mine.pt")
    return store, str(store.result(run_id).summary["sha256"])


def test_a_stored_network_is_inspected(stored: tuple[Store, str]) -> None:
    store, sha256 = stored
    spec = InspectSpec(checkpoint=sha256)
    run_id = answer(store, spec)
    result = store.result(run_id)
    assert result.summary["checkpoint"]["name"] == "mine.pt"
    assert [g["size"] for g in result.summary["symmetry"]["groups"]] == [8, 7]
    assert result.summary["proof"]["passed"]
    assert set(result.provenance["seconds"]) == {"recognise", "trace", "symmetry", "proof"}
    partial = store.partial(run_id)
    assert partial.summary["tensors"] == result.summary["tensors"]
    assert parse_spec(spec.canonical) == spec
    assert store.submit(spec) == run_id
    assert store.status(run_id).state == "done"


def test_the_self_test_is_a_run_of_its_own(stored: tuple[Store, str]) -> None:
    store, sha256 = stored
    result = store.result(answer(store, SelfTestSpec(checkpoint=sha256, seed=4)))
    assert result.summary["recovered"]
    assert (result.summary["units"], result.summary["seed"]) == (15, 4)
    assert result.provenance["seconds"]["self_test"] > 0


def test_the_same_question_gives_the_same_bytes(stored: tuple[Store, str]) -> None:
    store, sha256 = stored
    for spec in (InspectSpec(checkpoint=sha256), SelfTestSpec(checkpoint=sha256)):
        path = store.run_folder(answer(store, spec)) / "result.npz"
        before = path.read_bytes()
        store.recompute(spec.run_id)
        Worker(store, "compute", "engine.runs.jobs").serve(once=True)
        assert path.read_bytes() == before


def test_headers_are_read_before_the_file_and_survive_its_refusal(store: Store) -> None:
    odd = saved({"mystery.weight": torch.full((2, 3, 4, 5, 6), float("nan"))})
    upload = store.shelf.save_upload(odd)
    first = store.submit(HeadersSpec(upload=upload, name="odd.pt"))
    second = store.submit(IngestSpec(upload=upload, name="odd.pt"))
    serve_files(store)
    assert store.status(second).state == "failed"
    summary = store.result(first).summary
    assert summary["tensors"][0]["shape"] == [2, 3, 4, 5, 6]
    assert summary["problem"].startswith("odd.pt: No known family fits")
    with pytest.raises(RunError, match="not stored here"):
        store.submit(HeadersSpec(upload=upload, name="another.pt"))


def test_headers_of_a_file_on_the_server(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(saved(network(0)))
    summary = store.result(answer(store, HeadersSpec(path=str(path), name="mine.pt"))).summary
    assert [g["size"] for g in summary["symmetry"]["groups"]] == [8, 7]
    assert summary["proof"] is None


def test_an_unknown_checkpoint_is_refused_at_once(store: Store) -> None:
    for spec in (InspectSpec(checkpoint=SHA), SelfTestSpec(checkpoint=SHA)):
        with pytest.raises(RunError, match="is not stored here"):
            store.submit(spec)


def test_headers_need_one_source() -> None:
    with pytest.raises(SpecError, match="exactly one of upload and path"):
        HeadersSpec(name="x")
    assert HeadersSpec(path="/x", stamp="1", name="x").pinned
    assert not HeadersSpec(path="/x", name="x").pinned
