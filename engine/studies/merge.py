"""Two to many checkpoints made one: aligned, averaged, repaired, and held against their ensemble.

Recognise, derive and prove the symmetry, bring every model into the order of the first one (Git
Re-Basin's MergeMany, a cycle-consistent matching, or any method for two), show that each π(X) is
X, average, repair. Then each input, the naive average, the merged model without and with repairs
and the ensemble of all inputs are evaluated on both splits. The alignment and each evaluation are
tiles, so that a run resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from engine.checkpoints import Checkpoint, about, load_checkpoint
from engine.data import Dataset
from engine.merging import Alignment
from engine.program import Program
from engine.studies import summary as summaries
from engine.studies.edges import SPLITS
from engine.studies.merge_alignment import aligned
from engine.studies.merge_merged import Merged, check_repairs, merged_model
from engine.studies.merge_models import Models, prepare_many
from engine.studies.merge_options import MergeOptions
from engine.studies.merge_result import MERGE_VERSION, MergeResult
from engine.studies.merge_scores import Scores, mean_of_inputs
from engine.studies.merge_summary import alignment_summary, identity_summary, provenance, worst
from engine.studies.result import json_ready
from engine.studies.stages import Progress, Stages
from engine.studies.subject import load_split
from engine.studies.task import task_summary
from engine.studies.tiles import MemoryTiles, TileCache
from engine.symmetry import Equivalence, Proof, Symmetry, derive_symmetry, equivalence, prove

BEGINS = {
    "recognise": 0.0,
    "data": 0.02,
    "symmetry": 0.05,
    "proof": 0.08,
    "match": 0.10,
    "equivalence": 0.60,
    "repair": 0.65,
    "evaluate": 0.70,
    "done": 1.0,
}
ShouldStop = Callable[[], bool]
Tensors = Mapping[str, Tensor]


def merge(
    checkpoints: Sequence[Checkpoint | str | Path],
    *,
    options: MergeOptions | None = None,
    program: Program | None = None,
    data: Mapping[str, Dataset] | None = None,
    tiles: TileCache | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: str | None = None,
) -> MergeResult:
    """Merge two to many checkpoints of one architecture into one.

    Args:
        checkpoints: each a checkpoint, a path or a Hub reference; the first one gives the result
            its order, names and dtypes.
        options: everything that changes the numbers.
        program: the architecture; None recognises it from the checkpoints.
        data: data sets of the caller's own, {"train": …, "test": …}, instead of a name.
        tiles: where the alignment and finished evaluations are kept and found.
        progress: gets events: stage with fraction.
        should_stop: asked between groups and batches.
        device: "cpu", "cuda"; None takes CUDA where there is one.

    Raises:
        BasinscopeError: each with its cause: the models, the data, the options.
        CancelledError: when should_stop says so.
    """
    options = options or MergeOptions()
    stages, stop = Stages(progress, BEGINS), should_stop or (lambda: False)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with stages.stage("recognise"):
        given = [m if isinstance(m, Checkpoint) else load_checkpoint(m) for m in checkpoints]
        models = prepare_many(given, program, options.family)
        check_repairs(options, models.program)
    stages.partial(identity_summary(models))
    with stages.stage("data"):
        splits = {s: load_split(options.loading, s, models.program, data) for s in SPLITS}
    cache = tiles if tiles is not None else MemoryTiles()
    study = _Study(models, options, splits, cache, stages, stop, device)
    return study.run()


@dataclass(frozen=True)
class _Study:
    """Models, data and everything that a merge needs from its caller."""

    models: Models
    options: MergeOptions
    splits: Mapping[str, Dataset]
    cache: TileCache
    stages: Stages
    should_stop: ShouldStop
    device: str

    def run(self) -> MergeResult:
        """Prove, align, merge, evaluate."""
        models, stages, train = self.models, self.stages, self.splits["train"]
        scores = Scores(models.program, self.splits, self.cache, self.should_stop, self.device)
        with stages.stage("symmetry"):
            symmetry = derive_symmetry(models.program)
        with stages.stage("proof"), about(models.checkpoints[0]):
            proof = prove(models.program, symmetry, models.tensors[0], seed=self.options.seed)
        with stages.stage("match"):
            alignment = self._aligned(symmetry)
        with stages.stage("equivalence"):
            moved = [
                symmetry.apply(permutation, own)
                for permutation, own in zip(alignment.permutations, models.tensors, strict=True)
            ]
            same = self._equivalences(moved)
        with stages.stage("repair"):
            merged = merged_model(models, moved, self.options, train, scores.check, self.device)
        parts = self._parts(symmetry, proof, alignment, same, merged)
        stages.partial(parts)
        with stages.stage("evaluate"):
            rows = scores.of(merged.rows(models), partial(self._tell, "evaluate", "done"))
        means = {split: mean_of_inputs(rows, split) for split in SPLITS}
        summary = json_ready({"version": MERGE_VERSION, **parts, "rows": rows, "mean": means})
        assert isinstance(summary, dict)
        stages.done()
        return MergeResult(
            summary=summary,
            merged=merged.final,
            permutations=alignment.permutations,
            provenance=provenance(stages, alignment, self.device),
            stated=models.stated,
        )

    def _aligned(self, symmetry: Symmetry) -> Alignment:
        return aligned(
            self.models,
            symmetry,
            self.options,
            self.splits["train"],
            self.cache,
            progress=partial(self._tell, "match", "equivalence"),
            should_stop=self.should_stop,
            device=self.device,
        )

    def _equivalences(self, moved: Sequence[Tensors]) -> list[Equivalence]:
        inputs = self.splits["test"].inputs
        return [
            equivalence(self.models.program, own, pi_own, inputs)
            for own, pi_own in zip(self.models.tensors, moved, strict=True)
        ]

    def _parts(
        self,
        symmetry: Symmetry,
        proof: Proof,
        alignment: Alignment,
        same: Sequence[Equivalence],
        merged: Merged,
    ) -> dict[str, object]:
        train, test = self.splits["train"], self.splits["test"]
        return {
            **identity_summary(self.models),
            "symmetry": summaries.symmetry_summary(symmetry),
            "proof": summaries.proof_summary(proof),
            "alignment": alignment_summary(alignment),
            "equivalences": [asdict(one) for one in same],
            "equivalence": asdict(worst(same)),
            "task": task_summary(self.models.program, train, test),
            "data": summaries.data_summary(train, test, self.options.data_seed),
            "repair": merged.summary(),
        }

    def _tell(self, stage: str, after: str, share: float) -> None:
        begin, end = BEGINS[stage], BEGINS[after]
        fraction = begin + (end - begin) * min(max(share, 0.0), 1.0)
        event = {"kind": "stage", "stage": stage, "fraction": fraction, "eta": None}
        self.stages.report(event)
