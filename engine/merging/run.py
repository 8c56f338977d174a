"""Align many models by any method of MERGES: one call for all, and why one cannot run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.result import StopReason
from engine.matching.run import Samples, obstacle, run_method
from engine.merging.alignment import Alignment
from engine.merging.consistent import match_consistently
from engine.merging.joint import Joint
from engine.merging.many import merge_many
from engine.merging.methods import MERGE_MANY, check_merge_options, find_merge

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

Models = Sequence[Mapping[str, Tensor]]


def align(
    key: str,
    program: Program,
    symmetry: Symmetry,
    models: Models,
    *,
    data: Samples | None = None,
    options: Mapping[str, object] = MappingProxyType({}),
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> Alignment:
    """Return a permutation of each model into the frame of the first.

    Args:
        key: of MERGES.
        program: the architecture of all.
        symmetry: its permutation groups.
        models: two or more sets of parameters by name.
        data: samples, for the methods that look at some.
        options: the method's own, by name.
        seed: of everything that is drawn.
        progress: called with the share done, from 0 to 1.
        should_stop: asked often; the best so far is then returned.
        device: where everything runs.

    Raises:
        MatchingError: the method cannot run (see `merge_obstacle`), or the models do not fit.
        NonFiniteError: a model holds NaN or infinite values.
    """
    if (reason := merge_obstacle(key, program, symmetry, data, device, options)) is not None:
        raise MatchingError(reason)
    common = {"seed": seed, "should_stop": should_stop, "device": device}
    if not find_merge(key).pairwise:
        many = merge_many if key == MERGE_MANY else match_consistently
        limits: dict[str, Any] = dict(options)
        return many(program, symmetry, models, **limits, progress=progress, **common)
    return _to_the_first(
        key, program, symmetry, models, data=data, options=options, progress=progress, **common
    )


def _to_the_first(
    key: str,
    program: Program,
    symmetry: Symmetry,
    models: Models,
    *,
    progress: Callable[[float], None] | None,
    device: torch.device | str,
    seed: int,
    **common: Any,
) -> Alignment:
    """Match each further model to the first one; after a cancel the rest stay as they are."""
    began = time.perf_counter()
    joint = Joint(program, symmetry, models, device)
    permutations, reason = joint.identity(), StopReason.CONVERGED
    for number, model in enumerate(models[1:], start=1):
        found = run_method(
            key,
            program,
            symmetry,
            models[0],
            model,
            progress=_part(progress, number - 1, len(models) - 1),
            device=device,
            seed=seed,
            **common,
        )
        permutations[number], reason = found.permutation, found.stop_reason
        if reason is StopReason.CANCELLED:
            break
    with torch.inference_mode():
        trace = (joint.objective(joint.identity()), joint.objective(permutations))
    return Alignment(
        permutations=tuple(permutations),
        objective=trace[-1],
        objective_identity=trace[0],
        trace=trace,
        rounds=1,
        stop_reason=reason,
        seconds=time.perf_counter() - began,
        method=key,
        seed=seed,
    )


def merge_obstacle(
    key: str,
    program: Program,
    symmetry: Symmetry,
    data: Samples | None,
    device: torch.device | str = "cpu",
    options: Mapping[str, object] = MappingProxyType({}),
) -> str | None:
    """Return why a method cannot run on a model and these data, None if nothing is against it.

    Raises:
        MatchingError: there is no such method or option.
    """
    merge = find_merge(key)
    if merge.pairwise:
        return obstacle(key, program, symmetry, data, device, options)
    check_merge_options(key, options)
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        return f"{merge.title} is asked to run on {device}, but torch finds no CUDA device here"
    return None


def _part(
    progress: Callable[[float], None] | None, number: int, count: int
) -> Callable[[float], None] | None:
    return None if progress is None else lambda done: progress((number + done) / count)
