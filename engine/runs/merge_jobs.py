"""The job that merges stored checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.runs.context import JobContext, JobResult
from engine.runs.merge_spec import MergeSpec
from engine.runs.stored import as_listed, load_stored
from engine.studies.merge import merge as study_merge
from engine.studies.merge_files import SUFFIXES, write_like
from engine.studies.merge_options import MergeOptions
from engine.studies.merge_result import permutation_file


def merge(spec: MergeSpec, context: JobContext) -> JobResult:
    """Merge; see `engine.studies.merge`. The file has the format of the first input."""
    shelf, data = context.store.shelf, spec.data
    options = MergeOptions(
        method=spec.method,
        method_options=spec.options,
        repairs=spec.repairs,
        data=str(shelf.data_path(data.sha256)) if data.sha256 is not None else data.name,
        train_split=data.train_split,
        test_split=data.test_split,
        samples=data.samples,
        data_seed=data.seed,
        mean=data.mean,
        std=data.std,
        seed=spec.seed,
        repair_samples=spec.repair_samples,
        family=spec.overrides,
    )
    models = [load_stored(shelf, sha256) for sha256 in spec.models]
    found = study_merge(
        models,
        options=options,
        tiles=context.tiles,
        progress=context.progress,
        should_stop=context.should_stop,
    )
    name = f"merged{SUFFIXES.get(models[0].format, '.safetensors')}"
    summary = {**found.summary, "file": name}
    described = summary.get("data")
    if data.sha256 is not None and isinstance(described, dict):
        # The stored file is named by its hash; the user knows it by the name it came with.
        summary["data"] = {**described, "name": data.name, "title": data.name}
    merged = as_listed(shelf, spec.models[0], found.merged)
    files: dict[str, Callable[[Path], object]] = {
        name: partial(write_like, merged, metadata=found.metadata)
    }
    for number, permutation in enumerate(found.permutations, start=1):
        files[permutation_file(number)] = permutation.save
    return JobResult(summary=summary, files=files, provenance=found.provenance)
