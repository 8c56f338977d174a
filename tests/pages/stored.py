"""A made-up installation for the pages' tests: two stored checkpoints and runs about them.

Written without torch, in the files' own formats, so that a test can show that the pages need none.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from engine.runs import CompareSpec, DataSpec, Store
from tests.figures.synthetic import stored, synthetic_result

A, B = "a" * 64, "b" * 64
PROVENANCE = {
    "title": "Built-in pair",
    "seconds": {"recognise": 0.2, "symmetry": 1.1, "match": 0.9, "evaluate": 41.0},
    "device": "cpu",
    "torch": "2.13.0",
    "finished": "2026-01-01T00:00:00+00:00",
}
TENSORS = {f"{i}.{kind}": shape for i, shape in enumerate(([4, 3], [2, 4])) for kind in ("weight",)}


def write_checkpoint(path: Path, sha256: str, name: str, **more: Any) -> None:
    """Write a stored checkpoint: tensors and, in the header, its description."""
    description = {
        "sha256": sha256,
        "name": name,
        "format": "safetensors",
        "notes": [],
        "origin": {},
        "recognition": {
            "family": "mlp",
            "title": "MLP 784-512-512-512-10",
            "evidence": ["Four matrices."],
            "assumptions": [],
            "input_shape": [784],
            "classes": 10,
            "parameters": 932362,
        },
        "tensor_count": 8,
        "tensors": [{"name": n, "shape": s, "dtype": "float32"} for n, s in TENSORS.items()],
    } | more
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.zeros(shape, dtype=np.float32) for name, shape in TENSORS.items()}
    save_file(tensors, path, metadata={"basinscope": json.dumps(description)})


def write_assets(assets: Path, **options: Any) -> str:
    """Write built-in checkpoints and one built-in run; returns its id."""
    write_checkpoint(assets / "mnist-mlp-0.safetensors", A, "mnist-mlp, seed 0")
    write_checkpoint(assets / "mnist-mlp-1.safetensors", B, "mnist-mlp, seed 1")
    spec = compare_spec(samples=None)
    write_run(assets / "runs" / spec.run_id, spec, **options)
    return spec.run_id


def compare_spec(**data: Any) -> CompareSpec:
    """Return the spec of a comparison of the two checkpoints."""
    return CompareSpec(a=A, b=B, data=DataSpec(name="mnist", **data))


def write_run(folder: Path, spec: CompareSpec, **options: Any) -> None:
    """Write a finished run's files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(spec.canonical)
    arrays, summary = synthetic_result(**options)
    np.savez(folder / "result.npz", **stored(arrays, summary))
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE))
    for name in ("permutation", "pi_b", "midpoint"):
        save_file({"x": np.zeros(2, dtype=np.float32)}, folder / f"{name}.safetensors")


def add_run(store: Store, spec: CompareSpec, title: str, state: str = "done", **more: Any) -> str:
    """Put a run into a store's index in the given state, with its files when it is done."""
    run_id = store.submit(spec, title)
    if state == "queued":
        return run_id
    store.index.claim(spec.lane, 1)
    if state == "done":
        write_run(store.home / "runs" / run_id, spec, **more.get("result", {}))
    if state != "running":
        store.index.finish(run_id, "running", state, more.get("reason"))
    return run_id


def write_tile(store: Store, run_id: str, key: str, index: np.ndarray, loss: np.ndarray) -> None:
    """Write one finished tile of a plane."""
    arrays = {"index": index, "loss": loss, "loss_se": 0.1 * loss, "accuracy": 0 * loss + 0.9}
    store.tiles(run_id).put(key, arrays)


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """Return an .npz file as bytes."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
