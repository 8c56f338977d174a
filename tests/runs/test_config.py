"""Models that come with a config.json: kept with it, found again with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.checkpoints import fingerprint
from engine.errors import RunError
from engine.runs import IngestSpec, PairSpec, Store
from engine.runs.stored import load_stored
from tests.runs.files_of_users import serve_files

pytest.importorskip("transformers")

SIZES = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_inner": 6, "vocab_size": 7, "n_positions": 5}


def state(seed: int) -> dict[str, torch.Tensor]:
    """Return the tensors of a small GPT-2, named as in its published file."""
    shapes = {"wte.weight": (7, 8), "wpe.weight": (5, 8), "h.0.attn.c_attn.weight": (8, 24)}
    shapes |= {"h.0.attn.c_attn.bias": (24,), "h.0.attn.c_proj.weight": (8, 8)}
    shapes |= {"h.0.attn.c_proj.bias": (8,), "h.0.mlp.c_fc.weight": (8, 6)}
    shapes |= {"h.0.mlp.c_fc.bias": (6,), "h.0.mlp.c_proj.weight": (6, 8)}
    shapes |= {"h.0.mlp.c_proj.bias": (8,)}
    for norm in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        shapes |= {f"{norm}.weight": (8,), f"{norm}.bias": (8,)}
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def folder(path: Path, seed: int, **changes: int) -> Path:
    path.mkdir()
    save_file(state(seed), path / "model.safetensors")
    config = {"model_type": "gpt2", **SIZES, **changes}
    (path / "config.json").write_text(json.dumps(config))
    return path


def answered(store: Store, spec: IngestSpec | PairSpec) -> dict:
    run_id = store.submit(spec)
    serve_files(store)
    assert store.status(run_id).state == "done", store.status(run_id).reason
    return store.result(run_id).summary


def test_the_config_is_kept_and_part_of_the_content(store: Store, tmp_path: Path) -> None:
    summary = answered(store, IngestSpec.from_path(folder(tmp_path / "a", 0)))
    assert summary["recognition"]["title"] == "GPT-2, 1 layers, width 8, 2 heads"
    found = load_stored(store.shelf, summary["sha256"])
    assert found.config is not None
    assert found.config["n_head"] == 2
    assert found.sha256 == fingerprint(found.tensors, config=found.config)
    assert found.sha256 != fingerprint(found.tensors)


def test_a_folder_that_changes_is_another_question(store: Store, tmp_path: Path) -> None:
    path = folder(tmp_path / "a", 0)
    first = IngestSpec.from_path(path)
    assert IngestSpec.from_path(path) == first
    weights = IngestSpec.from_path(path / "model.safetensors")
    (path / "config.json").write_text(json.dumps({"model_type": "gpt2", **SIZES, "n_head": 4}))
    assert IngestSpec.from_path(path).run_id != first.run_id
    assert IngestSpec.from_path(path / "model.safetensors").run_id != weights.run_id


def test_pairs_are_of_one_config(store: Store, tmp_path: Path) -> None:
    a, b, other = (
        answered(store, IngestSpec.from_path(path))["sha256"]
        for path in (
            folder(tmp_path / "a", 0),
            folder(tmp_path / "b", 1),
            folder(tmp_path / "other", 1, n_head=4),
        )
    )
    summary = answered(store, PairSpec(a=a, b=b))
    assert summary["fits"]
    assert summary["model"]["family"] == "transformers"
    misfit = answered(store, PairSpec(a=a, b=other))
    assert not misfit["fits"]
    assert "says n_head=2, that of model.safetensors 4" in misfit["message"].replace("other/", "")


def test_a_changed_config_is_noticed(store: Store, tmp_path: Path) -> None:
    sha256 = answered(store, IngestSpec.from_path(folder(tmp_path / "a", 0)))["sha256"]
    path = store.shelf.checkpoint(sha256).path
    path.write_bytes(path.read_bytes().replace(b'n_head\\": 2', b'n_head\\": 4'))
    with pytest.raises(RunError, match="has changed; upload it again"):
        load_stored(store.shelf, sha256)
