"""Ingest: bytes from a stranger become a described checkpoint, or one sentence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import Checkpoint, fingerprint, write_checkpoint
from engine.errors import CancelledError, HubError, RunError
from engine.runs import IngestSpec, PairSpec, Store, ingest
from engine.runs.context import JobContext
from engine.runs.stored import load_stored
from tests.runs.files_of_users import (
    NAN,
    bring,
    bring_data,
    data_set,
    network,
    saved,
    serve_files,
)


def test_an_upload_becomes_a_recognised_checkpoint(store: Store) -> None:
    state = network(0)
    run_id = bring(store, saved({"state_dict": state}), "mine.pt")
    summary = store.result(run_id).summary
    assert summary["sha256"] == fingerprint(state)
    assert (summary["name"], summary["format"]) == ("mine.pt", "torch")
    assert any("state_dict" in note for note in summary["notes"])
    assert summary["recognition"]["family"] == "mlp"
    assert summary["recognition"]["input_shape"] == [12]
    assert summary["recognition"]["classes"] == 4
    assert summary["tensors"][0] == {"name": "0.weight", "shape": [8, 12], "dtype": "float32"}
    assert summary["tensor_count"] == 6
    found = load_stored(store.shelf, summary["sha256"])
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state.items())
    assert list((store.home / "uploads").iterdir()) == [], "the raw upload is dropped"
    assert store.shelf.checkpoint(summary["sha256"]).description["recognition"]["classes"] == 4


def test_the_same_upload_is_answered_from_the_store(store: Store) -> None:
    first = bring(store, saved(network(0)), "mine.pt")
    second = bring(store, saved(network(0)), "mine.pt")
    assert first == second
    assert store.status(first).attempts == 1


def test_a_deleted_checkpoint_is_made_again(store: Store) -> None:
    run_id = bring(store, saved(network(0)), "mine.pt")
    sha256 = store.result(run_id).summary["sha256"]
    store.shelf.delete_checkpoint(sha256)
    assert bring(store, saved(network(0)), "mine.pt") == run_id
    assert store.shelf.has_checkpoint(sha256)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no checkpoint at all", "mine.pt: "),
        (saved(network(0))[:500], "mine.pt: "),
        (saved({**network(0), "0.bias": torch.full((8,), NAN)}), "0.bias"),
    ],
    ids=["text", "truncated", "not finite"],
)
def test_a_refused_file_says_why(store: Store, content: bytes, reason: str) -> None:
    run_id = bring(store, content, "mine.pt")
    status = store.status(run_id)
    assert status.state == "failed"
    assert status.reason is not None
    assert reason in status.reason
    assert "Internal error" not in status.reason
    assert list((store.home / "uploads").iterdir()) == []
    assert store.shelf.checkpoints() == ()


def test_weights_of_an_unknown_network_are_kept_with_the_reason(store: Store) -> None:
    state = {"odd.weight": torch.ones(3, 3, 3, 3, 3)}
    summary = store.result(bring(store, saved(state), "odd.pt")).summary
    assert summary["recognition"] is None
    assert summary["problem"].startswith("odd.pt: No known family fits")
    assert list((store.home / "uploads").iterdir()) == []
    assert torch.equal(
        load_stored(store.shelf, summary["sha256"]).tensors["odd.weight"], state["odd.weight"]
    )
    run_id = store.submit(PairSpec(a=summary["sha256"], b=summary["sha256"]))
    serve_files(store)
    found = store.result(run_id).summary
    assert not found["fits"]
    assert found["message"].startswith("odd.pt: No known family fits")


def test_a_server_file_is_read_where_it_lies(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(network(1), path)
    run_id = store.submit(IngestSpec.from_path(path))
    serve_files(store)
    assert store.result(run_id).summary["name"] == "model.safetensors"
    assert path.exists()
    gone = store.submit(IngestSpec(path=str(tmp_path / "gone.pt")))
    serve_files(store)
    assert "gone.pt: there is no such file" in str(store.status(gone).reason)


def test_a_hub_reference_is_fetched_each_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = network(2)
    origin = {"repo": "org/name", "revision": "f" * 40, "file": "model.safetensors"}
    asked = []

    def fetch(reference: str, *, token: str | None, progress: Any, cache_dir: Path) -> Checkpoint:
        asked.append((reference, token, cache_dir))
        progress(5, 10)
        name = "org/name:model.safetensors"
        return Checkpoint(state, fingerprint(state), name, "safetensors", (), origin)

    monkeypatch.setattr(ingest, "fetch_checkpoint", fetch)
    monkeypatch.setenv("HF_TOKEN", "the server's")
    for _ in range(2):
        run_id = store.submit(IngestSpec(hub="org/name"))
        serve_files(store)
    assert asked == [("org/name", "the server's", store.home / "hub")] * 2
    folder = store.run_folder(run_id)
    assert not any(
        b"the server's" in path.read_bytes() for path in folder.iterdir() if path.is_file()
    )
    assert store.result(run_id).summary["origin"] == origin
    stages = [event.get("stage") for event in store.events(run_id).events]
    assert "download" in stages


def test_a_hub_failure_is_passed_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(reference: str, **_: Any) -> Checkpoint:
        raise HubError("There is no repository org/nam on the Hub.")

    monkeypatch.setattr(ingest, "fetch_checkpoint", fetch)
    run_id = store.submit(IngestSpec(hub="org/nam"))
    serve_files(store)
    assert store.status(run_id).reason == "There is no repository org/nam on the Hub."


def test_a_download_can_be_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(reference: str, *, progress: Any, **_: Any) -> Checkpoint:
        progress(1, 10)
        raise AssertionError("it went on")

    monkeypatch.setattr(ingest, "fetch_checkpoint", fetch)
    spec = IngestSpec(hub="org/name")
    tiles = store.tiles(spec.run_id)
    context = JobContext(store, spec.run_id, tiles, lambda event: None, lambda: True)
    with pytest.raises(CancelledError, match="The download was cancelled"):
        ingest.ingest(spec, context)


def test_a_data_set_is_checked_and_kept_byte_for_byte(store: Store) -> None:
    content = data_set()
    summary = store.result(bring_data(store, content, "mine.npz")).summary
    assert summary == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "name": "mine.npz",
        "format": "npz",
        "samples": 60,
        "shape": [12],
        "task": "classification",
        "classes": 4,
    }
    assert store.shelf.data_path(summary["sha256"]).read_bytes() == content


def test_a_text_is_a_data_set_for_language_models(store: Store) -> None:
    content = b"What is read is kept. " * 20
    summary = store.result(bring_data(store, content, "poem.TXT")).summary
    assert (summary["format"], summary["task"], summary["samples"]) == ("txt", "language", 6)
    assert store.shelf.data_path(summary["sha256"]).read_bytes() == content


def test_a_data_set_that_is_none_is_refused_under_its_own_name(store: Store) -> None:
    status = store.status(bring_data(store, b"\x00" * 20, "mine.safetensors"))
    assert status.state == "failed"
    assert "mine.safetensors" in str(status.reason)
    assert ".part" not in str(status.reason)
    assert list((store.home / "data").iterdir()) == []


def test_a_pair_that_fits_and_one_that_does_not(store: Store) -> None:
    shas = [
        store.result(bring(store, saved(state), name)).summary["sha256"]
        for state, name in [(network(0), "a.pt"), (network(1), "b.pt"), (network(2, 9), "wide.pt")]
    ]
    fits = store.submit(PairSpec(a=shas[0], b=shas[1]))
    wide = store.submit(PairSpec(a=shas[0], b=shas[2]))
    same = store.submit(PairSpec(a=shas[0], b=shas[0]))
    serve_files(store)
    summary = store.result(fits).summary
    assert (summary["fits"], summary["message"], summary["same"]) == (True, None, False)
    assert summary["model"]["family"] == "mlp"
    refused = store.result(wide).summary
    assert refused["fits"] is False
    assert "0.weight" in refused["message"]
    assert store.result(same).summary["same"] is True


def test_a_stored_checkpoint_that_has_changed_is_told(store: Store) -> None:
    sha256 = store.result(bring(store, saved(network(0)), "a.pt")).summary["sha256"]
    path = store.shelf.checkpoint_file(sha256)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"The stored checkpoint a\.pt has changed"):
        load_stored(store.shelf, sha256)
    path.write_bytes(data[:-4])
    with pytest.raises(RunError, match=r"The stored checkpoint a\.pt is damaged"):
        load_stored(store.shelf, sha256)


@pytest.mark.parametrize("content", [saved(network(0)), b"no checkpoint"], ids=["good", "refused"])
def test_the_same_bytes_under_two_names_are_read_twice(store: Store, content: bytes) -> None:
    upload = store.shelf.save_upload(content)
    asked = [store.submit(IngestSpec(upload=upload, name=name)) for name in ("a.pt", "b.pt")]
    serve_files(store)
    reasons = [str(store.status(run_id).reason) for run_id in asked]
    assert not any("not stored here" in reason for reason in reasons)
    assert list((store.home / "uploads").iterdir()) == []
