"""Several uploads that are one model: what is asked, and what becomes of it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save

from engine.checkpoints import fingerprint
from engine.errors import RunError, SpecError
from engine.runs import FilesHeadersSpec, IngestFilesSpec, NamedUpload, Store, parse_spec
from engine.runs.stored import load_stored
from tests.runs.files_of_users import serve_files
from tests.runs.test_config import SIZES, state

A, B = "a" * 64, "b" * 64
CONFIG = {"model_type": "gpt2", **SIZES}


def uploaded(store: Store, files: dict[str, bytes]) -> tuple[NamedUpload, ...]:
    return tuple(
        NamedUpload(name=name, upload=store.shelf.save_upload(content))
        for name, content in files.items()
    )


def model_files(**changes: int) -> dict[str, bytes]:
    config = json.dumps({**CONFIG, **changes}).encode()
    return {"model.safetensors": save(state(0)), "config.json": config}


def test_the_order_of_files_does_not_change_the_question() -> None:
    files = (NamedUpload(name="w.pt", upload=A), NamedUpload(name="config.json", upload=B))
    for kind in (IngestFilesSpec, FilesHeadersSpec):
        spec = kind(files=files)
        assert kind(files=files[::-1]).run_id == spec.run_id
        assert parse_spec(spec.canonical) == spec
    other = (NamedUpload(name="v.pt", upload=A), files[1])
    assert IngestFilesSpec(files=other).run_id != IngestFilesSpec(files=files).run_id


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", "a\nb", "a\0b"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(SpecError, match="a file's name must be plain"):
        NamedUpload(name=name, upload=A)


def test_wrong_sets_of_files_are_refused() -> None:
    one = NamedUpload(name="w.pt", upload=A)
    with pytest.raises(SpecError, match=r"two files are called 'w\.pt'; bring each once"):
        IngestFilesSpec(files=(one, one))
    with pytest.raises(SpecError, match=r"files: .*at least 1"):
        IngestFilesSpec(files=())
    with pytest.raises(SpecError, match="at most 200 bytes"):
        NamedUpload(name="ä" * 150, upload=A)


def test_uploads_that_are_not_there_are_told(store: Store) -> None:
    with pytest.raises(RunError, match="The upload aaaaaaaaaaaa… is not stored here"):
        store.submit(IngestFilesSpec(files=(NamedUpload(name="w.pt", upload=A),)))


def test_weights_with_their_config_become_one_checkpoint(store: Store) -> None:
    pytest.importorskip("transformers")
    files = uploaded(store, {**model_files(), "tokenizer.json": b"{}"})
    headers = store.submit(FilesHeadersSpec(files=files))
    run_id = store.submit(IngestFilesSpec(files=files))
    serve_files(store)
    known = store.result(headers).summary
    assert known["model"]["title"] == "GPT-2, 1 layers, width 8, 2 heads"
    assert known["proof"] is None
    summary = store.result(run_id).summary
    assert summary["recognition"]["title"] == known["model"]["title"]
    found = load_stored(store.shelf, summary["sha256"])
    assert found.sha256 == fingerprint(found.tensors, config=CONFIG) == summary["sha256"]
    assert (found.name, dict(found.config or {})) == ("model.safetensors", CONFIG)
    assert list((store.home / "uploads").iterdir()) == [], "every raw upload is dropped"
    assert store.submit(IngestFilesSpec(files=files)) == run_id, "answered from the store"


def test_a_config_alone_is_refused_and_dropped(store: Store) -> None:
    files = uploaded(store, {"config.json": b'{"model_type": "gpt2"}'})
    run_id = store.submit(IngestFilesSpec(files=files))
    serve_files(store)
    assert "config.json: no weights are among the files" in str(store.status(run_id).reason)
    assert list((store.home / "uploads").iterdir()) == []


def test_weights_of_another_config_are_refused_by_name(store: Store) -> None:
    pytest.importorskip("transformers")
    files = uploaded(store, model_files(n_embd=16))
    run_id = store.submit(IngestFilesSpec(files=files))
    serve_files(store)
    summary = store.result(run_id).summary
    assert summary["recognition"] is None
    assert summary["problem"].startswith("model.safetensors: ")
    assert torch.equal(
        load_stored(store.shelf, summary["sha256"]).tensors["ln_f.bias"], state(0)["ln_f.bias"]
    )
