"""Which way of matching, and which repair, works for this pair?

Each method finds its permutation of B; each line from A to a π(B), and the line from A to B as
they are, is evaluated without repair, with each repair asked for, and with all of them. The
ensemble of A and B is the reference. Matchings and lines are kept as tiles, so that a run
resumes, and methods that find one permutation share its lines. One method's failure is its own.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.checkpoints import Checkpoint, about, load_checkpoint
from engine.data import Dataset
from engine.landscape import line
from engine.program import Program
from engine.repair import ensemble
from engine.repair import obstacle as repair_obstacle
from engine.studies import summary as summaries
from engine.studies.edges import SPLITS
from engine.studies.methods_lines import Lines, Seen
from engine.studies.methods_options import NAIVE, MethodsOptions, variants
from engine.studies.methods_progress import MethodsProgress
from engine.studies.methods_result import MethodsResult
from engine.studies.methods_summary import method_summaries, repair_summary, rows_and_arrays
from engine.studies.methods_trial import Trial, Trials, attempt
from engine.studies.result import json_ready
from engine.studies.stages import Progress, Stages
from engine.studies.subject import Subject, load_split, prepare
from engine.studies.task import task_summary
from engine.studies.tiles import MemoryTiles, TileCache
from engine.symmetry import Proof, Symmetry, derive_symmetry, prove

VERSION = 1
BEGINS = {
    "recognise": 0.0,
    "data": 0.01,
    "symmetry": 0.03,
    "proof": 0.05,
    "ensemble": 0.07,
    "methods": 0.08,
    "done": 1.0,
}
AS_IT_IS = "no matching"
TOGETHER = ("loss", "accuracy", "calibration_error")


def compare_methods(
    a: Checkpoint | str | Path,
    b: Checkpoint | str | Path,
    *,
    options: MethodsOptions,
    program: Program | None = None,
    data: Mapping[str, Dataset] | None = None,
    tiles: TileCache | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
) -> MethodsResult:
    """Try several matching methods and repairs on two checkpoints.

    Args:
        a: the reference: a checkpoint, a path or a Hub reference.
        b: the model that is permuted.
        options: which methods and repairs, and everything else that changes the numbers.
        program: the architecture; None recognises it from the checkpoints.
        data: data sets of the caller's own, {"train": …, "test": …}, instead of a name.
        tiles: where finished matchings and lines are kept and found.
        progress: gets events: stage with fraction and eta, method with state and share, partial.
        should_stop: asked between batches.
        device: "cpu", "cuda"; None takes CUDA where there is one.

    Raises:
        BasinscopeError: the pair, the model, the data or the options cannot be used. What one
            method cannot do is said in its row.
        CancelledError: when should_stop says so.
    """
    cache = tiles if tiles is not None else MemoryTiles()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    stages = Stages(progress, BEGINS)
    with stages.stage("recognise"):
        pair = tuple(m if isinstance(m, Checkpoint) else load_checkpoint(m) for m in (a, b))
        subject = prepare(pair[0], pair[1], program, options.family)
    with stages.stage("data"):
        loading = options.loading
        splits = {name: load_split(loading, name, subject.program, data) for name in SPLITS}
    with stages.stage("symmetry"):
        symmetry = derive_symmetry(subject.program)
    with stages.stage("proof"), about(subject.b):
        proof = prove(subject.program, symmetry, subject.b.tensors, seed=options.seed)
    parts = _parts(subject, symmetry, proof, splits, options)
    lines = Lines(
        program=subject.program,
        data=splits,
        seen=Seen.draw(splits["train"], options.repair_samples, options.data_seed),
        points=options.line_points,
        cache=cache,
        device=device,
        should_stop=should_stop or (lambda: False),
    )
    with stages.stage("ensemble"):
        parts["ensemble"] = _ensemble(subject, lines)
    return _tried(subject, symmetry, lines, options, stages, parts)


def _parts(
    subject: Subject,
    symmetry: Symmetry,
    proof: Proof,
    splits: Mapping[str, Dataset],
    options: MethodsOptions,
) -> dict[str, Any]:
    """Return the parts of the summary that are known before any method is tried."""
    return {
        "version": VERSION,
        **summaries.identity_summary(subject),
        "symmetry": summaries.symmetry_summary(symmetry),
        "proof": summaries.proof_summary(proof),
        "task": task_summary(subject.program, splits["train"], splits["test"]),
        "data": summaries.data_summary(splits["train"], splits["test"], options.data_seed),
        "seed": options.seed,
    }


def _tried(
    subject: Subject,
    symmetry: Symmetry,
    lines: Lines,
    options: MethodsOptions,
    stages: Stages,
    parts: dict[str, Any],
) -> MethodsResult:
    """Try every method and return what came of it."""
    why_not = {key: repair_obstacle(key, subject.program) for key in options.repairs}
    impossible = {key: why for key, why in why_not.items() if why is not None}
    sets = variants([key for key in options.repairs if key not in impossible])
    parts["repairs"] = {
        **repair_summary(options.repairs, impossible, sets),
        "samples": len(lines.seen.targets),
    }
    choices = {NAIVE: None, **options.choices}
    titles = {name: AS_IT_IS if c is None else c.title for name, c in choices.items()}
    parts["asked"] = [{"id": name, "title": title} for name, title in titles.items()]
    stages.partial(parts)
    points = len(SPLITS) * options.line_points * len(sets)
    progress = MethodsProgress(stages, titles, points, BEGINS["methods"])
    trials = Trials(subject, symmetry, lines, sets, options.seed, progress)
    lambdas = line(options.line_points)[:, 1].numpy()
    tried: dict[str, Trial] = {}
    summary, arrays = parts, {}
    with stages.stage("methods"):
        for name, choice in choices.items():
            tried[name] = trials.run(name, titles[name], choice)
            rows, arrays = rows_and_arrays(tried, sets, lambdas, lines.data)
            summary = {**parts, "methods": method_summaries(tried), "rows": rows}
            stages.partial({"methods": summary["methods"], "rows": rows})
    del summary["asked"]
    ready = json_ready(summary)
    assert isinstance(ready, dict)
    stages.done()
    return MethodsResult(
        arrays=arrays,
        summary=ready,
        permutations={
            name: trial.permutation
            for name, trial in tried.items()
            if trial.choice is not None and trial.permutation is not None
        },
        provenance=_provenance(stages, tried, lines.device),
    )


def _ensemble(subject: Subject, lines: Lines) -> dict[str, Any]:
    """Return what A and B achieve together, by split; a sentence where they cannot."""
    found: dict[str, Any] = {}
    for split in SPLITS:
        kept = lines.cache.get(f"ensemble-{split}")
        if kept is None or any(name not in kept for name in TOGETHER):
            models = (subject.a.tensors, subject.b.tensors)
            together, problem = attempt(
                lambda split=split, models=models: ensemble(
                    subject.program,
                    models,
                    lines.data[split],
                    check=lines.check,
                    device=lines.device,
                )
            )
            if together is None:
                return {"problem": problem}
            kept = {name: np.array(getattr(together, name)) for name in TOGETHER}
            lines.cache.put(f"ensemble-{split}", kept)
        found[split] = {name: float(kept[name]) for name in TOGETHER}
    return {"problem": None, **found}


def _provenance(stages: Stages, tried: Mapping[str, Trial], device: str) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor()
    return {
        "seconds": {stage: round(value, 4) for stage, value in stages.seconds.items()},
        "methods": {
            name: {
                "match": None if trial.found is None else round(trial.found.seconds, 4),
                "lines": round(trial.seconds, 4),
            }
            for name, trial in tried.items()
        },
        "device": device,
        "device_name": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
