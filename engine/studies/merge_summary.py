"""The parts of a merge's summary: plain JSON values, and where it was computed."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from engine.merging import Alignment
from engine.merging.methods import find_merge
from engine.studies import summary as summaries
from engine.studies.merge_models import Models
from engine.studies.stages import Stages
from engine.symmetry import Equivalence


def identity_summary(models: Models) -> dict[str, object]:
    """Return which models are merged."""
    return {
        "models": [summaries.checkpoint_summary(one) for one in models.checkpoints],
        "model": summaries.model_summary(models.subject),
    }


def alignment_summary(alignment: Alignment) -> dict[str, object]:
    """Return how the models were aligned: method, objective, rounds, why it stopped."""
    return {
        "method": alignment.method,
        "title": find_merge(alignment.method).title,
        "seed": alignment.seed,
        "objective": alignment.objective,
        "objective_identity": alignment.objective_identity,
        "trace": list(alignment.trace),
        "rounds": alignment.rounds,
        "stop_reason": alignment.stop_reason.value,
        "stop_sentence": alignment.stop_reason.sentence,
        "moved_units": [permutation.moved for permutation in alignment.permutations],
        "total_units": alignment.permutations[0].units,
    }


def worst(same: Sequence[Equivalence]) -> Equivalence:
    """Return the largest difference of all; NaN is larger than any number."""
    return max(
        same,
        key=lambda one: (
            math.inf if math.isnan(one.max_abs_logit_difference) else one.max_abs_logit_difference
        ),
    )


def provenance(stages: Stages, alignment: Alignment, device: str) -> dict[str, object]:
    """Return the seconds per stage and where it ran."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor()
    return {
        "seconds": {stage: round(value, 4) for stage, value in stages.seconds.items()},
        "alignment_seconds": round(alignment.seconds, 4),
        "device": device,
        "device_name": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
