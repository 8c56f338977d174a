"""The checkpoints of a plane, matched to one of them where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from engine.checkpoints import about
from engine.data import Dataset
from engine.merging import Alignment
from engine.studies import summary as summaries
from engine.studies.merge_alignment import aligned
from engine.studies.merge_models import Models
from engine.studies.merge_options import MergeOptions
from engine.studies.merge_summary import alignment_summary, worst
from engine.studies.planes_options import PlanesOptions
from engine.studies.stages import Stages
from engine.studies.tiles import TileCache
from engine.symmetry import Permutation, derive_symmetry, equivalence, prove

METHOD = "weight"


@dataclass(frozen=True)
class Placed:
    """The models that a plane is laid through, in the order given.

    Attributes:
        tensors: of each, permuted where matching was asked for.
        summary: what shows that permuted models are what they were; empty without matching.
        permutations: of each; empty without matching.
    """

    tensors: tuple[Mapping[str, Tensor], ...]
    summary: Mapping[str, object] = field(default_factory=dict)
    permutations: tuple[Permutation, ...] = ()


def placed(
    kind: str,
    models: Models,
    options: PlanesOptions,
    splits: Mapping[str, Dataset],
    cache: TileCache,
    stages: Stages,
    *,
    told: Callable[[float], None],
    should_stop: Callable[[], bool],
    device: str,
) -> Placed:
    """Return the models as they are, or matched by their weights to the reference.

    The reference is the first of three models, and the last one of a trajectory.

    Raises:
        BasinscopeError: the symmetry does not hold for the model.
        CancelledError: asked to stop while matching.
    """
    names = models.program.parameters
    if not options.matched:
        return Placed(tuple({n: model[n] for n in names} for model in models.tensors))
    with stages.stage("symmetry"):
        symmetry = derive_symmetry(models.program)
    # `align` matches to the first: a trajectory is turned round for it.
    turn = -1 if kind == "pca" else 1
    turned = Models(models.checkpoints[::turn], models.subject)
    with stages.stage("proof"), about(turned.checkpoints[0]):
        proof = prove(models.program, symmetry, turned.tensors[0], seed=options.seed)
    with stages.stage("match"):
        alignment = aligned(
            turned,
            symmetry,
            MergeOptions(method=METHOD, seed=options.seed),
            splits["train"],
            cache,
            progress=told,
            should_stop=should_stop,
            device=device,
        )
    permutations = alignment.permutations[::turn]
    moved = [symmetry.apply(p, m) for p, m in zip(permutations, models.tensors, strict=True)]
    inputs = splits["test"].inputs
    same = [
        equivalence(models.program, own, pi_own, inputs)
        for own, pi_own in zip(models.tensors, moved, strict=True)
    ]
    return Placed(
        tuple({n: model[n] for n in names} for model in moved),
        {
            "symmetry": summaries.symmetry_summary(symmetry),
            "proof": summaries.proof_summary(proof),
            "alignment": _told(alignment, turn),
            "equivalence": summaries.equivalence_summary(worst(same)),
        },
        permutations,
    )


def _told(alignment: Alignment, turn: int) -> dict[str, object]:
    """Return the alignment's summary with the models in the order given."""
    told = alignment_summary(alignment)
    return {**told, "moved_units": [p.moved for p in alignment.permutations[::turn]]}
