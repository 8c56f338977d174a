"""The job that evaluates a plane of another kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.checkpoints import write_checkpoint
from engine.runs.context import JobContext, JobResult
from engine.runs.executors import tile_executor
from engine.runs.plane_spec import PlaneSpec
from engine.runs.stored import load_stored
from engine.studies.merge_result import permutation_file
from engine.studies.planes import plane as study_plane
from engine.studies.planes_options import PlanesOptions
from engine.studies.planes_result import AXES


def plane(spec: PlaneSpec, context: JobContext) -> JobResult:
    """Evaluate the plane; see `engine.studies.planes`."""
    shelf, data = context.store.shelf, spec.data
    options = PlanesOptions(
        resolution=spec.resolution,
        extent=spec.extent,
        seed=spec.seed,
        scaling=spec.scaling,
        vectors=spec.vectors,
        matched=spec.matched,
        hessian_samples=spec.hessian_samples,
        tolerance=spec.tolerance,
        most_products=spec.most_products,
        split=spec.split,
        data=str(shelf.data_path(data.sha256)) if data.sha256 is not None else data.name,
        train_split=data.train_split,
        test_split=data.test_split,
        samples=data.samples,
        data_seed=data.seed,
        mean=data.mean,
        std=data.std,
        reset=spec.reset,
        reset_samples=spec.reset_samples,
        family=spec.overrides,
    )
    found = study_plane(
        spec.plane,
        [load_stored(shelf, sha256) for sha256 in spec.models],
        options=options,
        tiles=context.tiles,
        progress=context.progress,
        should_stop=context.should_stop,
        executor=tile_executor(),
    )
    summary = dict(found.summary)
    described = summary.get("data")
    if data.sha256 is not None and isinstance(described, dict):
        # The stored file is named by its hash; the user knows it by the name it came with.
        summary["data"] = {**described, "name": data.name, "title": data.name}
    files: dict[str, Callable[[Path], object]] = {
        name: partial(write_checkpoint, axis) for name, axis in zip(AXES, found.axes, strict=True)
    }
    for number, permutation in enumerate(found.permutations, start=1):
        files[permutation_file(number)] = permutation.save
    return JobResult(summary=summary, arrays=found.arrays, files=files, provenance=found.provenance)
