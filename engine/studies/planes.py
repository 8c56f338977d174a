"""A plane of another kind through or around checkpoints: its losses, its geometry, its checks.

Any three checkpoints, random directions around one, the principal components of a trajectory, or
the top eigenvectors of the Hessian (`engine.landscape.planes`). The plane is evaluated as a
comparison's is: the same tiles, plans and executors, BatchNorm statistics reset at each point
where the model has them. The models themselves are evaluated with their own statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.cuda import is_available

from engine.checkpoints import Checkpoint, load_checkpoint
from engine.data import Dataset
from engine.landscape import geometry_names
from engine.landscape.planes import LaidPlane
from engine.program import Program
from engine.studies import summary as summaries
from engine.studies.edges import SPLITS
from engine.studies.evaluation import Evaluation, InTurn, TileExecutor, Work
from engine.studies.merge_models import Models, fitted
from engine.studies.merge_summary import identity_summary
from engine.studies.planes_evaluated import PlaneTiles
from engine.studies.planes_layout import Layout
from engine.studies.planes_models import Placed, placed
from engine.studies.planes_options import PlanesOptions, check_kind
from engine.studies.planes_result import PLANES_VERSION, PlanesResult
from engine.studies.provenance import provenance
from engine.studies.recipe import ProgramRecipe
from engine.studies.reset import reset_data
from engine.studies.result import json_ready
from engine.studies.stages import Countdown, Progress, Stages
from engine.studies.subject import load_split
from engine.studies.task import task_summary
from engine.studies.tiles import MemoryTiles, TileCache

BEGINS = {
    "recognise": 0.0,
    "data": 0.02,
    "symmetry": 0.04,
    "proof": 0.06,
    "match": 0.08,
    "directions": 0.15,
    "evaluate": 0.3,
    "done": 1.0,
}
ShouldStop = Callable[[], bool]


def plane(
    kind: str,
    checkpoints: Sequence[Checkpoint | str | Path],
    *,
    options: PlanesOptions | None = None,
    program: Program | None = None,
    data: Mapping[str, Dataset] | None = None,
    tiles: TileCache | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: str | None = None,
    executor: TileExecutor | None = None,
) -> PlanesResult:
    """Evaluate a plane of a kind.

    Args:
        kind: "three" (three checkpoints), "random" (one), "pca" (three or more, in order),
            "hessian" (one).
        checkpoints: each a checkpoint, a path or a Hub reference.
        options: everything that changes the numbers.
        program: the architecture; None recognises it from the checkpoints.
        data: data sets of the caller's own, {"train": …, "test": …}, instead of a name.
        tiles: where finished tiles are kept and found.
        progress: gets events: stage with fraction and eta, tile, partial.
        should_stop: asked between tiles and batches.
        device: "cpu", "cuda"; None takes CUDA where there is one.
        executor: who evaluates the tiles; None does so here, one after the other.

    Raises:
        BasinscopeError: each with its cause: the kind, the models, the data, the options.
        CancelledError: when should_stop says so.
    """
    options = options or PlanesOptions()
    check_kind(kind, len(checkpoints), options.matched)
    stages = Stages(progress, BEGINS)
    with stages.stage("recognise"):
        given = [m if isinstance(m, Checkpoint) else load_checkpoint(m) for m in checkpoints]
        models = fitted(given, program, options.family)
    stages.partial({"kind": kind, **identity_summary(models)})
    with stages.stage("data"):
        splits = {s: load_split(options.loading, s, models.program, data) for s in SPLITS}
    work = Work(
        models.program,
        ProgramRecipe.of(models.subject, options.family),
        splits,
        reset_data(options.loading, models.program, splits["train"]),
        device or ("cuda" if is_available() else "cpu"),
    )
    cache = tiles if tiles is not None else MemoryTiles()
    evaluation = Evaluation(work, cache, executor or InTurn(), should_stop or (lambda: False))
    return _Study(kind, models, options, evaluation, stages).run()


@dataclass(frozen=True)
class _Study:
    """Models, data and everything that a plane needs from its caller."""

    kind: str
    models: Models
    options: PlanesOptions
    evaluation: Evaluation
    stages: Stages

    def run(self) -> PlanesResult:
        """Match where asked, lay out, evaluate."""
        evaluation, stages, options = self.evaluation, self.stages, self.options
        work = evaluation.work
        put = placed(
            self.kind,
            self.models,
            options,
            work.data,
            evaluation.cache,
            stages,
            told=lambda share: self._tell("match", "directions", share),
            should_stop=evaluation.should_stop,
            device=work.device,
        )
        with stages.stage("directions"):
            laid = self._layout().of(self.kind, put.tensors)
        parts = self._parts(laid, put)
        stages.partial(parts)
        tiles = PlaneTiles.of(laid, put.tensors, options.split)
        every = tiles.every
        points = sum(len(tile.index) for _, tile in every)
        with stages.stage("evaluate"):
            countdown = Countdown(stages, points, len(every), BEGINS["evaluate"])
            evaluation.run(every, countdown)
            checks = tiles.checks(evaluation, geometry_names(work.program))
            rows = self._rows(laid, tiles)
        drawn = {**self._geometry(laid), **checks}
        summary = json_ready({**parts, "plane": drawn, "rows": rows, "ends": _ends(rows)})
        assert isinstance(summary, dict)
        stages.done()
        return PlanesResult(
            arrays=tiles.arrays(evaluation.cache),
            summary=summary,
            axes=_axes(laid, work.program.parameters),
            permutations=put.permutations,
            provenance=provenance(stages, work),
        )

    def _layout(self) -> Layout:
        work, options = self.evaluation.work, self.options
        return Layout(
            work.program,
            options,
            work.data["train"],
            self.evaluation.cache,
            lambda count: self._tell("directions", "evaluate", count / options.most_products),
            self.evaluation.should_stop,
            work.device,
        )

    def _parts(self, laid: LaidPlane, put: Placed) -> dict[str, object]:
        work, options = self.evaluation.work, self.options
        return {
            "version": PLANES_VERSION,
            "kind": self.kind,
            **identity_summary(self.models),
            "task": task_summary(work.program, work.data["train"], work.data["test"]),
            "data": summaries.data_summary(
                work.data["train"], work.data["test"], options.data_seed
            ),
            "batch_norm": summaries.batch_norm_summary(self.models.subject, work.reset),
            "plane": self._geometry(laid),
            **put.summary,
        }

    def _geometry(self, laid: LaidPlane) -> dict[str, object]:
        drawn = laid.plane
        facts = {name: value for name, value in laid.facts.items() if name != "off_plane"}
        if self.kind == "hessian":
            facts["samples"] = len(self._layout().hessian_samples())
        return {
            "kind": self.kind,
            "split": self.options.split,
            "resolution": len(drawn.u),
            "extent": list(laid.extent),
            "axes": list(laid.axes),
            "unit_words": laid.unit,
            "unit": drawn.u_norm,
            "positions": {name: list(place) for name, place in drawn.positions.items()},
            "distances": dict(drawn.distances),
            "angle_degrees": drawn.angle_degrees,
            "orthonormality": drawn.orthonormality,
            "degenerate": drawn.degenerate,
            "off_plane": dict(laid.off_plane),
            "matched": self.options.matched,
            "seed": self.options.seed,
            **facts,
        }

    def _rows(self, laid: LaidPlane, tiles: PlaneTiles) -> list[dict[str, object]]:
        """Return each model with its place on the plane and what it achieves by itself."""
        places = laid.facts.get("trajectory") or list(laid.plane.positions.values())
        count = len(self.models.checkpoints)
        off = laid.facts.get("off_plane") or [0.0] * count
        names = list(laid.plane.positions)
        if self.kind == "pca":
            names = [names[0], *(str(n) for n in range(2, count)), names[1]]
        assert isinstance(places, list) and isinstance(off, list)
        return [
            {
                "key": names[n],
                "title": checkpoint.name,
                "place": list(places[n]),
                "off_plane": off[n],
                **point,
            }
            for n, (checkpoint, point) in enumerate(
                zip(self.models.checkpoints, tiles.points(self.evaluation), strict=True)
            )
        ]

    def _tell(self, stage: str, after: str, share: float) -> None:
        begin, end = BEGINS[stage], BEGINS[after]
        fraction = begin + (end - begin) * min(max(share, 0.0), 1.0)
        event = {"kind": "stage", "stage": stage, "fraction": fraction, "eta": None}
        self.stages.report(event)


def _ends(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what the named models achieve, as the figures look it up."""
    return {str(row["key"]).lower(): {split: row[split] for split in SPLITS} for row in rows}


def _axes(
    laid: LaidPlane, names: Mapping[str, object]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Return the steps from the origin to the ends of both axes, one unit of the plane long."""
    origin, *ends = laid.plane.span.models
    first, second = (
        {n: (end[n] - origin[n]).to("cpu").contiguous() for n in names if n in end} for end in ends
    )
    return first, second
