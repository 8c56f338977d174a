"""Is there a curve of low loss between A and B, or π(B), where the straight line has a barrier?

Garipov et al. 2018 (arXiv 1802.10026): the bends of a Bézier curve or of a chain of straight
pieces are trained so that the loss is low all along it. The straight line and the curve are then
evaluated beside each other, and the plane of A, the end and a bend is drawn. Where the end is
π(B), the symmetry is proved and B matched first, so that one can see what a permutation and what
a curve does. Trainings under way and evaluations are tiles, so that a run resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import Checkpoint, load_checkpoint, stated_options
from engine.data import Dataset
from engine.data.task import REGRESSION
from engine.errors import SpecError
from engine.program import Program
from engine.studies import summary as summaries
from engine.studies.edges import SPLITS, point_summary
from engine.studies.evaluation import Evaluation, InTurn, TileExecutor, Work
from engine.studies.path_curves import Curved
from engine.studies.path_matching import Matched, match_end
from engine.studies.path_options import B, PathOptions
from engine.studies.path_plane import PathPlane
from engine.studies.path_result import PATH_VERSION, PathResult, as_checkpoint
from engine.studies.path_training import Part, Trainer
from engine.studies.plane import SPLIT as PLANE_SPLIT
from engine.studies.provenance import provenance
from engine.studies.recipe import ProgramRecipe
from engine.studies.reset import reset_data
from engine.studies.result import json_ready
from engine.studies.stages import Countdown, Progress, Stages
from engine.studies.subject import Subject, load_split, prepare
from engine.studies.task import baseline, task_summary
from engine.studies.tiles import MemoryTiles, Tile, TileCache

BEGINS = {
    "recognise": 0.0,
    "data": 0.02,
    "symmetry": 0.04,
    "proof": 0.06,
    "match": 0.08,
    "equivalence": 0.11,
    "train": 0.12,
    "evaluate": 0.6,
    "done": 1.0,
}
Tensors = Mapping[str, Tensor]
ShouldStop = Callable[[], bool]


def path(
    a: Checkpoint | str | Path,
    b: Checkpoint | str | Path,
    *,
    options: PathOptions | None = None,
    program: Program | None = None,
    data: Mapping[str, Dataset] | None = None,
    start: Sequence[Tensors] | None = None,
    tiles: TileCache | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: str | None = None,
    executor: TileExecutor | None = None,
) -> PathResult:
    """Train curves from A to B, to π(B), or to both, and evaluate them beside straight lines.

    Args:
        a: where every curve begins: a checkpoint, a path or a Hub reference.
        b: where it ends, as it is or permuted.
        options: everything that changes the numbers.
        program: the architecture; None recognises it from the checkpoints.
        data: data sets of the caller's own, {"train": …, "test": …}, instead of a name.
        start: the bends to begin with; None takes points of the straight line.
        tiles: where trainings under way and finished evaluations are kept and found.
        progress: gets events: stage with fraction and eta, training with step and loss, partial.
        should_stop: asked between steps, tiles and batches.
        device: "cpu", "cuda"; None takes CUDA where there is one.
        executor: who evaluates the tiles; None does so here, one after the other.

    Raises:
        BasinscopeError: each with its cause: the pair, the model, the data, the options.
        CancelledError: when should_stop says so.
    """
    options = options or PathOptions()
    if start is not None and len(options.ends) > 1:
        raise SpecError("bends to begin with are those of one curve; ask for one end")
    stages, stop = Stages(progress, BEGINS), should_stop or (lambda: False)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with stages.stage("recognise"):
        pair = tuple(m if isinstance(m, Checkpoint) else load_checkpoint(m) for m in (a, b))
        subject = prepare(pair[0], pair[1], program, options.family)
    stages.partial(summaries.identity_summary(subject))
    with stages.stage("data"):
        splits = {s: load_split(options.loading, s, subject.program, data) for s in SPLITS}
        options.training.steps_per_epoch(len(splits["train"]))
    reset = reset_data(options.loading, subject.program, splits["train"])
    recipe = ProgramRecipe.of(subject, options.family)
    work = Work(subject.program, recipe, splits, reset, device)
    cache = tiles if tiles is not None else MemoryTiles()
    evaluation = Evaluation(work, cache, executor or InTurn(), stop)
    return _Study(subject, options, evaluation, stages, start).run()


@dataclass
class _Study:
    """A path study under way; `parts` and `paths` are what is known so far."""

    subject: Subject
    options: PathOptions
    evaluation: Evaluation
    stages: Stages
    start: Sequence[Tensors] | None
    matched: Matched | None = None
    parts: dict[str, object] = field(default_factory=dict)
    paths: dict[str, dict[str, object]] = field(default_factory=dict)

    def run(self) -> PathResult:
        """Match, train, evaluate."""
        subject, options, splits = self.subject, self.options, self.evaluation.work.data
        self._tell(
            {
                "version": PATH_VERSION,
                **summaries.identity_summary(subject),
                "task": task_summary(subject.program, splits["train"], splits["test"]),
                "data": summaries.data_summary(splits["train"], splits["test"], options.data_seed),
                "batch_norm": summaries.batch_norm_summary(subject, self.evaluation.work.reset),
                "training": {**asdict(options.training), "weight_decay_of": "the point"},
            }
        )
        curves = self._trained({key: self._end(key) for key in options.ends})
        planes = self._planes(curves)
        self._evaluate(curves, planes)
        arrays: dict[str, np.ndarray] = {"t": next(iter(curves.values())).places}
        for curved in curves.values():
            arrays |= curved.arrays(self.evaluation.cache)
        for plane in planes.values():
            arrays |= plane.arrays()
        summary = json_ready({**self.parts, "paths": self.paths})
        assert isinstance(summary, dict)
        self.stages.done()
        return PathResult(
            arrays=arrays,
            summary=summary,
            bends={
                key: tuple(as_checkpoint(bend, subject) for bend in curved.trained.bends)
                for key, curved in curves.items()
            },
            matched=self.matched,
            provenance=provenance(self.stages, self.evaluation.work),
            format=subject.a.format,
            stated=stated_options(subject.a.config) or stated_options(subject.b.config),
        )

    def _end(self, key: str) -> Tensors:
        """Return the model at which a curve ends; π(B) is found first."""
        if key == B:
            return self.subject.b.tensors
        span = BEGINS["match"], BEGINS["equivalence"]
        self.matched, told = match_end(
            self.subject, self.options, self.evaluation, self.stages, span
        )
        self._tell(told)
        return self.matched.pi_b

    def _trained(self, ends: Mapping[str, Tensors]) -> dict[str, Curved]:
        """Train the curve to each end, one after the other."""
        work, program = self.evaluation.work, self.subject.program
        train = work.data["train"]
        loading = replace(self.options.loading, reset=None)
        trainer = Trainer(
            program,
            self.options,
            train,
            reset_data(loading, program, train),
            self.start,
            self.evaluation.cache,
            self.stages,
            self.evaluation.should_stop,
            work.device,
        )
        a, curves = self.subject.a.tensors, {}
        begin, width = BEGINS["train"], (BEGINS["evaluate"] - BEGINS["train"]) / len(ends)
        with self.stages.stage("train"):
            for number, (key, end) in enumerate(ends.items()):
                first = begin + width * number
                part = Part((first, first + width), len(ends) - number - 1)
                found = trainer.trained(a, end, key, part)
                curves[key] = Curved.of(program, a, end, key, found, self.options)
                self.paths[key] = curves[key].known()
                self._tell({"paths": self.paths})
        return curves

    def _planes(self, curves: Mapping[str, Curved]) -> dict[str, PathPlane]:
        """Lay out the plane of each curve, where planes are asked for."""
        if not self.options.plane_points:
            return {}
        planes = {
            key: PathPlane.lay_out(self.subject.program, curved) for key, curved in curves.items()
        }
        for key, plane in planes.items():
            self.paths[key]["plane"] = plane.known()
        self._tell({"paths": self.paths})
        return planes

    def _evaluate(self, curves: Mapping[str, Curved], planes: dict[str, PathPlane]) -> None:
        """Evaluate models, lines, curves and planes; add what they show to `paths`."""
        every: list[tuple[str, Tile]] = []
        for curved in curves.values():
            every += [("ends", tile) for (tile,) in curved.model_tiles().values()]
        for curved in curves.values():
            every += [("curves", t) for tiles in curved.line_tiles().values() for t in tiles]
        every += [("plane", tile) for plane in planes.values() for tile in plane.tiles]
        points = sum(len(tile.index) for _, tile in every)
        countdown = Countdown(self.stages, points, len(every), BEGINS["evaluate"])
        evaluation = self.evaluation
        with self.stages.stage("evaluate"):
            evaluation.run(every, countdown)
            for key, curved in curves.items():
                self.paths[key] |= curved.summary(evaluation.cache, self._point)
                if key in planes:
                    top = np.max(curved.values(evaluation.cache, "line", PLANE_SPLIT)["loss"])
                    planes[key] = planes[key].finished(evaluation, float(top))
                    self.paths[key] |= planes[key].summary()

    def _point(self, values: Mapping[str, np.ndarray], index: int, split: str) -> dict[str, object]:
        """Sum up one point in the task's own terms."""
        data = self.evaluation.work.data[split]
        reference = baseline(data) if data.task is REGRESSION else None
        return point_summary(values, index, data.task, reference)

    def _tell(self, parts: Mapping[str, object]) -> None:
        self.parts |= parts
        self.stages.partial(parts)
