"""A made-up inspection, as a worker would store it; written without torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.runs import InspectSpec, SelfTestSpec, Spec, Store
from engine.runs.context import JobResult
from tests.pages.stored import A

Json = dict[str, Any]


def stretch(size: int, *groups: int) -> Json:
    return {"size": size, "groups": list(groups)}


def layer(name: str, kind: str, sources: list[int], **more: Any) -> Json:
    """Return one layer of a graph, with the fields that are not given empty."""
    empty = {"sign": kind, "parameters": [], "shape": [], "inputs": [], "outputs": [], "parts": []}
    return {"name": name, "kind": kind, "sources": sources, **empty, **more}


def group(number: int, name: str, size: int, *parameters: str, **more: Any) -> Json:
    return {
        "number": number,
        "name": name,
        "size": size,
        "copies": 1,
        "within": None,
        "layers": list(parameters),
        "axes": [{"parameter": parameter, "axis": 0} for parameter in parameters],
        **more,
    }


def tensor(name: str, *shape: int) -> Json:
    size = 4 * int(np.prod(shape))
    return {"name": name, "shape": list(shape), "dtype": "float32", "bytes": size}


def summary(**more: Any) -> Json:
    """Return the summary of an inspected MLP 3-4-2."""
    return {
        "checkpoint": {"name": "mine", "sha256": A, "format": "npz", "notes": [], "origin": {}},
        "tensors": [tensor("0.weight", 4, 3), tensor("0.bias", 4), tensor("2.weight", 2, 4)],
        "problem": None,
        "model": {
            "family": "mlp",
            "title": "MLP 3-4-2",
            "evidence": ["Two matrices."],
            "assumptions": [],
            "parameters": 24,
            "classes": 2,
            "input_shape": [3],
        },
        "symmetry": {
            "groups": [group(1, "0", 4, "0.weight", "0.bias", "2.weight")],
            "log10_copies": 1.3802,
            "moved_parameters": 24,
            "total_parameters": 24,
            "fixed": ["0.weight axis 1 (3): it meets an input of the model"],
            "ops_without_rule": [],
        },
        "graph": [
            layer("", "input", []),
            layer(
                "0", "linear", [0], shape=[4, 3], inputs=[stretch(3, 0)], outputs=[stretch(4, 1)]
            ),
            layer(
                "2", "linear", [1], shape=[2, 4], inputs=[stretch(4, 1)], outputs=[stretch(2, 0)]
            ),
            layer("", "output", [2]),
        ],
        "proof": {
            "passed": True,
            "max_abs_difference": 3e-16,
            "relative": 1e-16,
            "tolerance": 1e-9,
            "trials": 2,
            "reason": None,
        },
        **more,
    }


def self_test_summary(**more: Any) -> Json:
    return {
        "recovered": True,
        "sentence": "All 4 units of one group were put back into their places.",
        "units": 4,
        "exact": 4,
        "tied": 0,
        "wrong": 0,
        "groups": [
            {"number": 1, "name": "0", "units": 4, "exact": 4, "tied": 0, "wrong": 0},
        ],
        "sweeps": 2,
        "stop_sentence": "A whole sweep brought no gain.",
        "seed": 0,
        "restarts": 1,
        **more,
    }


def add_answer(store: Store, spec: Spec, found: Json, title: str = "mine") -> str:
    """Store a run's answer as its worker would."""
    run_id = store.submit(spec, title)
    while (claimed := store.index.claim(spec.lane, 1)) is not None and claimed[0] != run_id:
        pass  # older ones come first; they stay as if another worker had them
    store.save_result(run_id, JobResult(found, provenance={"seconds": {"proof": 0.2}}))
    store.index.finish(run_id, "running", "done")
    return run_id


def add_inspection(store: Store, sha256: str = A, **more: Any) -> str:
    """Store an inspection of one of the installation's networks."""
    return add_answer(store, InspectSpec(checkpoint=sha256), summary(**more))


def add_self_test(store: Store, sha256: str = A, **more: Any) -> str:
    """Store a self-test of one of the installation's networks."""
    return add_answer(store, SelfTestSpec(checkpoint=sha256), self_test_summary(**more))
