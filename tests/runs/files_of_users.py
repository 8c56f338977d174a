"""What users bring, made small: checkpoints of MLPs and a data set, as bytes."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import nn

from engine.runs import IngestDataSpec, IngestSpec, Store
from engine.runs.worker import Worker

NAN = float("nan")


def network(seed: int, width: int = 8) -> dict[str, torch.Tensor]:
    """Return the state dict of a small MLP, 12-width-7-4."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Linear(12, width), nn.ReLU(), nn.Linear(width, 7), nn.ReLU(), nn.Linear(7, 4)
    )
    return module.state_dict()


def saved(content: object) -> bytes:
    """Return what `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def data_set(samples: int = 60) -> bytes:
    """Return an `.npz` of random inputs and targets."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    inputs = generator.normal(size=(samples, 12)).astype(np.float32)
    np.savez(buffer, inputs=inputs, targets=generator.integers(0, 4, samples))
    return buffer.getvalue()


def serve_files(store: Store) -> None:
    """Answer what waits in the lane "files", in this process."""
    assert Worker(store, "files", "engine.runs.jobs").serve(once=True) == 0


def bring(store: Store, content: bytes, name: str) -> str:
    """Upload and ingest a checkpoint; return its run's id."""
    run_id = store.submit(IngestSpec(upload=store.shelf.save_upload(content), name=name), name)
    serve_files(store)
    return run_id


def bring_data(store: Store, content: bytes, name: str) -> str:
    """Upload and ingest a data set; return its run's id."""
    run_id = store.submit(IngestDataSpec(upload=store.shelf.save_upload(content), name=name))
    serve_files(store)
    return run_id
