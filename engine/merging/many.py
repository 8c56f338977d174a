"""MergeMany: every model is matched to the mean of the others until none gains.

Ainsworth et al. 2022 (arXiv 2209.04836), algorithm 3, from every model as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.merging.alignment import Alignment, in_first_order
from engine.merging.ascent import ascend
from engine.merging.joint import Joint
from engine.merging.methods import MERGE_MANY

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

MOST_ROUNDS = 100
MOST_SWEEPS = 100


def merge_many(
    program: Program,
    symmetry: Symmetry,
    models: Sequence[Mapping[str, Tensor]],
    *,
    seed: int = 0,
    max_rounds: int = MOST_ROUNDS,
    max_sweeps: int = MOST_SWEEPS,
    progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> Alignment:
    """Return a permutation of each model into one frame, found by MergeMany.

    Args:
        program: the architecture, for the names of its running statistics.
        symmetry: its permutation groups.
        models: two or more sets of parameters by name.
        seed: seed of the visiting orders.
        max_rounds: at most so many visits of all models, at least 1.
        max_sweeps: at most so many sweeps per visit, at least 1.
        progress: called with the share done, from 0 to 1.
        should_stop: asked before each group; when it says so, the best so far is returned.
        device: where the products run.

    Raises:
        MatchingError: the models do not fit, or an option makes no sense.
        NonFiniteError: a model holds NaN or infinite values.
    """
    check_limits(max_rounds, max_sweeps)
    began = time.perf_counter()
    with torch.inference_mode():
        joint = Joint(program, symmetry, models, device)
        identity = joint.objective(joint.identity())
        found = ascend(
            joint,
            joint.identity(),
            torch.Generator().manual_seed(seed),
            max_rounds=max_rounds,
            max_sweeps=max_sweeps,
            progress=progress,
            should_stop=should_stop,
        )
    if progress is not None:
        progress(1.0)
    return Alignment(
        permutations=in_first_order(found.permutations),
        objective=found.objective,
        objective_identity=identity,
        trace=found.trace,
        rounds=len(found.trace) - 1,
        stop_reason=found.stop_reason,
        seconds=time.perf_counter() - began,
        method=MERGE_MANY,
        seed=seed,
    )


def check_limits(max_rounds: int, max_sweeps: int) -> None:
    """Raise MatchingError unless both limits are at least 1."""
    for option, value in (("max_rounds", max_rounds), ("max_sweeps", max_sweeps)):
        if value < 1:
            raise MatchingError(f"{option} must be at least 1, not {value}")
