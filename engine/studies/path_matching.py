"""The end of a path at π(B): the symmetry is proved, B matched to A, and π(B) shown to be B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from engine.checkpoints import about
from engine.studies import summary as summaries
from engine.studies.evaluation import Evaluation
from engine.studies.methods_alignment import find
from engine.studies.path_options import PathOptions
from engine.studies.stages import Share, Stages
from engine.studies.subject import Subject
from engine.symmetry import Permutation, derive_symmetry, equivalence, prove


@dataclass(frozen=True)
class Matched:
    """B brought into the order of A."""

    permutation: Permutation
    pi_b: Mapping[str, Tensor]


def match_end(
    subject: Subject,
    options: PathOptions,
    evaluation: Evaluation,
    stages: Stages,
    span: tuple[float, float],
) -> tuple[Matched, dict[str, object]]:
    """Return the permuted B, and the parts of the summary that tell how it was found.

    Args:
        subject: the pair.
        options: the study's.
        evaluation: data, device, cache of what was found before.
        stages: who is told.
        span: the shares of the whole study at which the matching begins and ends.

    Raises:
        ProofError: a permutation changed the function.
        MatchingError: the method cannot run on this model and these data.
        CancelledError: asked to stop.
    """
    program, own, work = subject.program, subject.b.tensors, evaluation.work
    with stages.stage("symmetry"):
        symmetry = derive_symmetry(program)
    with stages.stage("proof"), about(subject.b):
        proof = prove(program, symmetry, own, seed=options.seed)
    with stages.stage("match"):
        told = Share(stages, "match", *span)
        found = find(
            options.choice,
            subject,
            symmetry,
            work.data["train"],
            evaluation.cache,
            seed=options.seed,
            progress=told,
            should_stop=evaluation.should_stop,
            device=work.device,
        ).alignment
        pi_b = symmetry.apply(found.permutation, own)
    with stages.stage("equivalence"):
        same = equivalence(program, own, pi_b, work.data["test"].inputs)
    parts: dict[str, object] = {
        "symmetry": summaries.symmetry_summary(symmetry),
        "proof": summaries.proof_summary(proof),
        "equivalence": summaries.equivalence_summary(same),
        "matching": {**summaries.matching_summary(found), "title": options.choice.title},
        "distance": summaries.distance_summary(subject, pi_b),
    }
    return Matched(found.permutation, pi_b), parts
