"""The jobs that a worker answers: kind of spec → function. A new study is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from engine.checkpoints import write_checkpoint
from engine.program import capture
from engine.runs.context import Job, JobContext, JobResult
from engine.runs.cost import keep_speed, measured, speed_key
from engine.runs.executors import tile_executor
from engine.runs.ingest import ingest, ingest_data, ingest_files, pair
from engine.runs.inspect_jobs import files_headers, headers, inspect, self_test
from engine.runs.merge_jobs import merge
from engine.runs.methods_jobs import methods
from engine.runs.path_jobs import path
from engine.runs.plane_jobs import plane
from engine.runs.spec import CompareSpec
from engine.runs.stored import load_stored
from engine.studies.compare import compare as study_compare
from engine.studies.options import CompareOptions


def warm() -> None:
    """Trace a tiny model, so that the first run does not wait for the tracer to be loaded."""
    capture(nn.Linear(2, 2), torch.zeros(2, 2))


def compare(spec: CompareSpec, context: JobContext) -> JobResult:
    """Answer the main job; see `engine.studies.compare`."""
    shelf, data = context.store.shelf, spec.data
    options = CompareOptions(
        data=str(shelf.data_path(data.sha256)) if data.sha256 is not None else data.name,
        train_split=data.train_split,
        test_split=data.test_split,
        samples=data.samples,
        data_seed=data.seed,
        mean=data.mean,
        std=data.std,
        seed=spec.seed,
        restarts=spec.restarts,
        line_points=spec.line_points,
        plane_points=spec.plane_points,
        extent=spec.extent,
        reset=spec.reset,
        reset_samples=spec.reset_samples,
        statistics=spec.statistics,
        precision=spec.precision,
        plane_mode=spec.plane_mode,
        plane_rows=spec.plane_rows,
        plane_accuracy=spec.plane_accuracy,
        plane_seconds=spec.plane_seconds,
        plane_sobol=spec.plane_sobol,
        family=spec.overrides,
    )
    begun = context.store.tiles(context.run_id).keys()
    found = study_compare(
        load_stored(shelf, spec.a),
        load_stored(shelf, spec.b),
        options=options,
        tiles=context.tiles,
        progress=context.progress,
        should_stop=context.should_stop,
        executor=tile_executor(),
    )
    summary = dict(found.summary)
    speed = measured(summary, found.provenance, spec.line_points)
    model = summary.get("model")
    if (
        speed is not None and isinstance(model, dict) and not begun
    ):  # what was found was not computed now
        keep_speed(context.store.home, speed_key(model, spec.precision), speed)
    described = summary.get("data")
    if data.sha256 is not None and isinstance(described, dict):
        # The stored file is named by its hash; the user knows it by the name it came with.
        summary["data"] = {**described, "name": data.name, "title": data.name}
    return JobResult(
        summary=summary,
        arrays=found.arrays,
        files={
            "permutation.safetensors": found.permutation.save,
            "pi_b.safetensors": partial(write_checkpoint, found.pi_b, metadata=found.metadata),
            "midpoint.safetensors": partial(
                write_checkpoint, found.midpoint, metadata=found.metadata
            ),
        },
        provenance=found.provenance,
    )


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "compare": compare,
        "headers": headers,
        "headers-files": files_headers,
        "ingest": ingest,
        "ingest-data": ingest_data,
        "ingest-files": ingest_files,
        "inspect": inspect,
        "merge": merge,
        "methods": methods,
        "pair": pair,
        "path": path,
        "plane": plane,
        "self-test": self_test,
    }
)
