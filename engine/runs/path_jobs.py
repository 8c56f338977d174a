"""The job that trains and evaluates curves between two stored checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.checkpoints import write_checkpoint
from engine.runs.context import JobContext, JobResult
from engine.runs.executors import tile_executor
from engine.runs.path_spec import PathSpec
from engine.runs.stored import as_listed, load_stored
from engine.studies.merge_files import write_like
from engine.studies.path import path as study_path
from engine.studies.path_options import PathOptions


def path(spec: PathSpec, context: JobContext) -> JobResult:
    """Find curves; see `engine.studies.path`. Bends have the format of A's file."""
    shelf, data = context.store.shelf, spec.data
    options = PathOptions(
        end=spec.end,
        shape=spec.shape,
        bends=spec.bends,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        optimiser=spec.optimiser,
        rate=spec.rate,
        weight_decay=spec.weight_decay,
        method=spec.method,
        method_options=spec.options,
        data=str(shelf.data_path(data.sha256)) if data.sha256 is not None else data.name,
        train_split=data.train_split,
        test_split=data.test_split,
        samples=data.samples,
        data_seed=data.seed,
        mean=data.mean,
        std=data.std,
        seed=spec.seed,
        points=spec.points,
        plane_points=spec.plane_points,
        extent=spec.extent,
        reset=spec.reset,
        reset_samples=spec.reset_samples,
        family=spec.overrides,
    )
    found = study_path(
        load_stored(shelf, spec.a),
        load_stored(shelf, spec.b),
        options=options,
        tiles=context.tiles,
        progress=context.progress,
        should_stop=context.should_stop,
        executor=tile_executor(),
    )
    bends = found.bend_files()
    summary = {**found.summary, "files": list(bends)}
    described = summary.get("data")
    if data.sha256 is not None and isinstance(described, dict):
        # The stored file is named by its hash; the user knows it by the name it came with.
        summary["data"] = {**described, "name": data.name, "title": data.name}
    files: dict[str, Callable[[Path], object]] = {
        name: partial(write_like, as_listed(shelf, spec.a, bend), metadata=found.metadata)
        for name, bend in bends.items()
    }
    if found.matched is not None:
        files["permutation.safetensors"] = found.matched.permutation.save
        files["pi_b.safetensors"] = partial(
            write_checkpoint, found.matched.pi_b, metadata=found.metadata
        )
    return JobResult(summary, found.arrays, files, found.provenance)
