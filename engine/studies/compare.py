"""The main job: do A and B live in one basin once B is permuted?

Recognise, derive and prove the symmetry, match, show that π(B) is B, then evaluate the three
edges of the triangle A, B, π(B) and the plane through them (Git Re-Basin, Ainsworth et al.
2022, Sections 3 to 5). Everything expensive is a tile that is kept, so that a run resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import Checkpoint, about, load_checkpoint, stated_options
from engine.data import Dataset
from engine.data.task import REGRESSION
from engine.landscape import Span, choose_batch_size, line, reset_statistics
from engine.program import Program
from engine.studies import summary as summaries
from engine.studies.alignment import Alignment, align
from engine.studies.edges import EDGES, MODELS, SPLITS, barrier_summary, edge_tiles, point_summary
from engine.studies.evaluation import Evaluation, InTurn, TileExecutor, Work
from engine.studies.layers import layer_table
from engine.studies.options import CompareOptions
from engine.studies.plane import SPLIT as PLANE_SPLIT
from engine.studies.plane import PlaneStudy
from engine.studies.plane_live import evaluate_in_rounds
from engine.studies.plane_look import first_look
from engine.studies.precision import precision_summary
from engine.studies.provenance import provenance
from engine.studies.recipe import ProgramRecipe
from engine.studies.reset import reset_data, statistics_kind
from engine.studies.result import SUMMARY_VERSION, CompareResult, json_ready
from engine.studies.stages import Countdown, Progress, Stages
from engine.studies.statistics import statistics_summary
from engine.studies.subject import Subject, load_split, prepare
from engine.studies.task import baseline, task_summary
from engine.studies.tiles import MemoryTiles, Tile, TileCache, gather
from engine.symmetry import derive_symmetry, equivalence, prove

ShouldStop = Callable[[], bool]


def compare(
    a: Checkpoint | str | Path,
    b: Checkpoint | str | Path,
    *,
    options: CompareOptions | None = None,
    program: Program | None = None,
    data: Mapping[str, Dataset] | None = None,
    tiles: TileCache | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: str | None = None,
    executor: TileExecutor | None = None,
) -> CompareResult:
    """Compare two checkpoints before and after permuting B.

    Args:
        a: the reference: a checkpoint, a path or a Hub reference.
        b: the model that is permuted.
        options: everything that changes the numbers.
        program: the architecture; None recognises it from the checkpoints.
        data: data sets of the caller's own, {"train": …, "test": …}, instead of a name.
        tiles: where finished tiles are kept and found.
        progress: gets events: stage with fraction and eta, sweep, tile.
        should_stop: asked between tiles and batches.
        device: "cpu", "cuda"; None takes CUDA where there is one.
        executor: who evaluates the tiles; None does so here, one after the other.

    Raises:
        BasinscopeError: each with its cause: the pair, the model, the data, the options.
        CancelledError: when should_stop says so.
    """
    options = options or CompareOptions()
    cache = tiles if tiles is not None else MemoryTiles()
    stop = should_stop or (lambda: False)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    stages = Stages(progress)
    with stages.stage("recognise"):
        pair = tuple(m if isinstance(m, Checkpoint) else load_checkpoint(m) for m in (a, b))
        subject = prepare(pair[0], pair[1], program, options.family)
    stages.partial(summaries.identity_summary(subject))
    with stages.stage("data"):
        splits = {name: load_split(options, name, subject.program, data) for name in SPLITS}
    with stages.stage("symmetry"):
        symmetry = derive_symmetry(subject.program)
    with stages.stage("proof"), about(subject.b):
        proof = prove(subject.program, symmetry, subject.b.tensors, seed=options.seed)
    with stages.stage("match"):
        alignment = align(subject, symmetry, options, cache, stages.sweep, stop)
        pi_b = symmetry.apply(alignment.permutation, subject.b.tensors)
    kind = statistics_kind(options, subject.program)
    reset = reset_data(options, subject.program, splits["train"])
    recipe = ProgramRecipe.of(subject, options.family)
    repairing = kind == "repair"
    work = Work(subject.program, recipe, splits, reset, device, options.precision, repairing)
    evaluation = Evaluation(work, cache, executor or InTurn(), stop)
    span = _span(subject, pi_b)
    plane = _plane(evaluation, span, options, stages)
    with stages.stage("equivalence"):
        inputs = splits["test"].inputs
        same = equivalence(subject.program, subject.b.tensors, pi_b, inputs)
    parts = {
        **summaries.identity_summary(subject),
        "symmetry": summaries.symmetry_summary(symmetry),
        "proof": summaries.proof_summary(proof),
        "equivalence": summaries.equivalence_summary(same),
        "matching": summaries.matching_summary(alignment),
        "distance": summaries.distance_summary(subject, pi_b),
        "task": task_summary(subject.program, splits["train"], splits["test"]),
        "data": summaries.data_summary(splits["train"], splits["test"], options.data_seed),
        "batch_norm": summaries.batch_norm_summary(subject, reset),
        "statistics": statistics_summary(subject.program, kind, reset, len(splits["test"])),
        "layers": layer_table(
            subject.program,
            symmetry,
            alignment.permutation,
            subject.a.tensors,
            subject.b.tensors,
            pi_b,
        ),
    }
    stages.partial(parts)
    study = _evaluate(evaluation, span, plane, options, stages)
    result = _result(subject, alignment, pi_b, study, evaluation, stages, parts)
    stages.done()
    return result


@dataclass(frozen=True)
class _Study:
    ends: Mapping[str, Mapping[str, np.ndarray]]
    curves: Mapping[tuple[str, str], Mapping[str, np.ndarray]]
    lambdas: np.ndarray
    plane: PlaneStudy | None
    precision: Mapping[str, object]


def _span(subject: Subject, pi_b: Mapping[str, Tensor]) -> Span:
    # The Program's tensors alone: step counters may be in only one of the checkpoints.
    models = (subject.a.tensors, subject.b.tensors, pi_b)
    own_names = subject.program.parameters
    return Span(("A", "B", "π(B)"), tuple({n: model[n] for n in own_names} for model in models))


def _plane(
    evaluation: Evaluation, span: Span, options: CompareOptions, stages: Stages
) -> PlaneStudy | None:
    """Return the plane asked for, laid out and looked at once."""
    if not options.plane_points:
        return None
    plane = PlaneStudy.lay_out(evaluation.work.program, span, options)
    stages.partial({"plane": plane.geometry()})
    with stages.stage("look"):
        first_look(plane.plane, evaluation, PLANE_SPLIT, options.data_seed)
    return plane


def _evaluate(
    evaluation: Evaluation,
    span: Span,
    plane: PlaneStudy | None,
    options: CompareOptions,
    stages: Stages,
) -> _Study:
    own = torch.eye(len(MODELS), dtype=torch.float64)
    ends = {s: (Tile(f"ends-{s}", span, own, s, np.arange(len(MODELS))),) for s in SPLITS}
    edges = edge_tiles(span, options.line_points)
    first = [("ends", tile) for tiles in ends.values() for tile in tiles]
    later = [("curves", tile) for tiles in edges.values() for tile in tiles]
    of_plane = [("plane", tile) for tile in plane.tiles] if plane else []
    sketch = None
    with stages.stage("evaluate"):
        precision = precision_summary(evaluation, span)
        stages.partial({"precision": precision})
        if plane is not None and options.plane_mode != "full":
            sketch = evaluate_in_rounds(
                plane, evaluation, options, stages, first=first + of_plane, later=later
            )
        else:
            coarse = len(plane.corner_tiles) + 1 if plane else 0
            every = first + of_plane[:coarse] + later + of_plane[coarse:]
            countdown = Countdown(stages, sum(len(tile.index) for _, tile in every), len(every))
            evaluation.run(every, countdown)
    cache = evaluation.cache
    curves = {key: gather(tiles, cache) for key, tiles in edges.items()}
    naive_top = float(np.max(curves["naive", "test"]["loss"]))
    return _Study(
        ends={s: gather(tiles, cache) for s, tiles in ends.items()},
        curves=curves,
        lambdas=line(options.line_points)[:, 1].numpy(),
        plane=plane.finished(cache, evaluation, naive_top, sketch) if plane else None,
        precision=precision,
    )


def _result(
    subject: Subject,
    alignment: Alignment,
    pi_b: Mapping[str, Tensor],
    study: _Study,
    evaluation: Evaluation,
    stages: Stages,
    parts: Mapping[str, object],
) -> CompareResult:
    arrays: dict[str, np.ndarray] = {"lambdas": study.lambdas}
    for (edge, split), curve in study.curves.items():
        arrays |= {f"curve_{edge}_{split}_{name}": values for name, values in curve.items()}
    data = evaluation.work.data
    middle, points = len(study.lambdas) // 2, _points(data)
    summary: dict[str, object] = {
        "version": SUMMARY_VERSION,
        "ends": {
            model: {s: points(study.ends[s], column, s) for s in SPLITS}
            for column, model in enumerate(MODELS)
        },
        "midpoints": {e: {s: points(study.curves[e, s], middle, s) for s in SPLITS} for e in EDGES},
        "barriers": {
            e: {s: barrier_summary(study.lambdas, study.curves[e, s]) for s in SPLITS}
            for e in EDGES
        },
        "plane": None,
        "basins": None,
        "precision": study.precision,
        **parts,
    }
    if study.plane is not None:
        arrays |= study.plane.arrays()
        summary |= study.plane.summary()
    ready = json_ready(summary)
    assert isinstance(ready, dict)
    return CompareResult(
        arrays=arrays,
        summary=ready,
        permutation=alignment.permutation,
        pi_b=pi_b,
        midpoint=_midpoint(subject, pi_b, evaluation.work),
        stated=stated_options(subject.a.config) or stated_options(subject.b.config),
        provenance=provenance(stages, evaluation.work),
    )


def _points(data: Mapping[str, Dataset]) -> Callable[..., dict[str, object]]:
    """Return a function of (curve, index, split) that sums up a point in the task's own terms."""
    references = {s: baseline(d) if d.task is REGRESSION else None for s, d in data.items()}

    def summed(curve: Mapping[str, np.ndarray], index: int, split: str) -> dict[str, object]:
        return point_summary(curve, index, data[split].task, references[split])

    return summed


def _midpoint(subject: Subject, pi_b: Mapping[str, Tensor], work: Work) -> dict[str, Tensor]:
    """Return ½(A + π(B)) with every tensor of A's checkpoint, in A's precision."""
    a = subject.a.tensors
    both = [name for name, t in a.items() if t.is_floating_point() and name in pi_b]
    span = Span(("A", "π(B)"), tuple({name: model[name] for name in both} for model in (a, pi_b)))
    point = span.at(torch.tensor([0.5, 0.5], dtype=torch.float64))
    if work.repair is not None:
        change = work.repair.bound(subject.program, span, "cpu", lambda: None)
        with torch.inference_mode():
            point |= change((0.5, 0.5), point)
    elif (reset := work.reset) is not None:
        inputs = [t.to(span.dtype) if t.is_floating_point() else t for t in reset.tensors]
        # Batches as in the evaluation, since their size belongs to the definition.
        size = choose_batch_size(subject.program, reset.batch_size, itemsize=span.dtype.itemsize)
        with torch.inference_mode():
            point |= reset_statistics(subject.program, point, inputs, batch_size=size)
    return {name: point.get(name, tensor).to(tensor.dtype).clone() for name, tensor in a.items()}
