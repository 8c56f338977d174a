"""Weight matching: the permutation of b that lies closest to a in weight space.

Maximises ⟨a, π(b)⟩, equivalently minimises ‖a − π(b)‖ (Ainsworth et al. 2022, arXiv
2209.04836, section 3.2), by coordinate descent from an anchored start (`anchored.py`) or
the identity and, with restarts, from random permutations; escapes lead on from the best of them
(`escape.py`). Needs no data.
Running statistics of BatchNorm are permuted with their layer but do not enter the objective.
Finds no symmetry beyond permutations (no scales, no signs).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.activation_matching import match_activations
from engine.matching.anchored import anchored_start
from engine.matching.descent import Climber, Descent, Progress, ShouldStop
from engine.matching.escape import escaped
from engine.matching.problem import Problem
from engine.matching.result import MatchResult, StopReason
from engine.symmetry import Perms, Permutation

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

METHOD = "weight"
AlsoFrom = Literal["nothing", "activation"]
ALSO_FROM: tuple[AlsoFrom, ...] = ("nothing", "activation")


def match_weights(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...] | None = None,
    *,
    seed: int = 0,
    restarts: int = 1,
    escapes: int = 0,
    also_from: AlsoFrom = "nothing",
    max_sweeps: int = 100,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    device: torch.device | str = "cpu",
) -> MatchResult:
    """Return the permutation of b found by weight matching.

    Args:
        program: the model, for the names of its running statistics.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        inputs: for a start from activations, one tensor [samples, *shape] per input.
        seed: seed of the visiting orders and random starts.
        restarts: number of starts, at least 1: the first from `first_start`, further ones
            from random permutations; the best objective wins.
        escapes: how often some units of the best permutation are shuffled and all is improved
            again, 0 or more; what ends higher is kept.
        also_from: "activation" for one more start, second in order: what activation matching
            finds on the inputs.
        max_sweeps: at most this many sweeps per start, at least 1.
        progress: called after each sweep with its number (over all starts) and the
            objective of the current start.
        should_stop: asked before each group; when it says so, the best so far is returned.
        device: where the products run.

    Raises:
        MatchingError: the models do not fit, or an option makes no sense.
        NonFiniteError: a model holds NaN or infinite values.
    """
    counts = (("restarts", restarts, 1), ("escapes", escapes, 0), ("max_sweeps", max_sweeps, 1))
    for option, value, least in counts:
        if value < least:
            raise MatchingError(f"{option} must be at least {least}, not {value}")
    if also_from not in ALSO_FROM:
        raise MatchingError(f"also_from is one of {', '.join(ALSO_FROM)}, not {also_from!r}")
    if also_from == "activation" and inputs is None:
        raise MatchingError("a start from activation matching needs inputs")
    began = time.perf_counter()
    known: list[Perms] = []
    with torch.inference_mode():
        problem = Problem(symmetry, a, b, exclude=program.statistics_names, device=device)
        if also_from == "activation" and inputs is not None:
            found = match_activations(
                program, symmetry, a, b, inputs, should_stop=should_stop, device=device
            ).permutation
            known = [{name: p.to(problem.device) for name, p in found.items()}]
        starts = _all_starts(problem, seed, restarts, known, max_sweeps, progress, should_stop)
        finals = [problem.objective(start.perms) for start in starts]
        # Rounding may rank two starts that ended at the same permutation: the first one wins.
        winner = max(range(len(starts)), key=lambda k: (finals[k], -k))
        best, objective = starts[winner], finals[winner]
        stopped = starts[-1].stop_reason
        if escapes and stopped is not StopReason.CANCELLED:
            swept = sum(start.sweeps for start in starts)
            best = _escaped(problem, best, seed, escapes, swept, max_sweeps, progress, should_stop)
            stopped = best.stop_reason
            objective = problem.objective(best.perms)
    return MatchResult(
        permutation=Permutation(best.perms, symmetry.within),
        objective=objective,
        objective_identity=problem.at_identity,
        trace=best.trace,
        sweeps=best.sweeps,
        restarts=tuple(finals),
        stop_reason=stopped if stopped is StopReason.CANCELLED else best.stop_reason,
        seconds=time.perf_counter() - began,
        method=METHOD,
        seed=seed,
    )


def _all_starts(
    problem: Problem,
    seed: int,
    restarts: int,
    known: Sequence[Perms],
    max_sweeps: int,
    progress: Progress | None,
    should_stop: ShouldStop | None,
) -> list[Descent]:
    """Return the descents of every start, up to the one that was cancelled."""
    if not problem.sizes:
        start = problem.identity()
        return [Descent(start, (problem.at_identity,), StopReason.NO_SYMMETRY)]
    generator = torch.Generator().manual_seed(seed)
    done: list[Descent] = []
    for number in range(len(known) + restarts):
        swept = sum(descent.sweeps for descent in done)
        with Climber(problem, should_stop=should_stop) as climber:
            if number == 0:
                start, objective = first_start(climber)
            else:
                start = known[number - 1] if number <= len(known) else problem.random(generator)
                objective = problem.objective(start)
            descent = climber.climb(
                start,
                generator,
                objective,
                max_sweeps=max_sweeps,
                progress=None if progress is None else _counted_from(swept, progress),
            )
        done.append(descent)
        if descent.stop_reason is StopReason.CANCELLED:
            break
    return done


def _escaped(
    problem: Problem,
    found: Descent,
    seed: int,
    escapes: int,
    swept: int,
    max_sweeps: int,
    progress: Progress | None,
    should_stop: ShouldStop | None,
) -> Descent:
    """Return the best that is met on a number of escapes from the best start."""
    told = None if progress is None else _counted_from(swept, progress)
    draws = torch.Generator().manual_seed(seed)
    with Climber(problem, should_stop=should_stop) as climber:
        return escaped(
            problem,
            found,
            draws,
            escapes,
            climber=climber,
            max_sweeps=max_sweeps,
            progress=told,
        )


def first_start(climber: Climber) -> tuple[Perms, float]:
    """Return the anchored start, or the identity where that is better, and its objective.

    The identity is better where b has a's order already, as after a fine-tuning.

    Args:
        climber: what the descent will go on with; the anchored start's costs are kept for it.
    """
    problem = climber.problem
    found = anchored_start(problem, climber.visit, climber.should_stop)
    reached = problem.objective(found)
    if reached <= problem.at_identity:
        return problem.identity(), problem.at_identity
    return found, reached


def _counted_from(swept: int, progress: Progress) -> Progress:
    return lambda sweep, objective: progress(swept + sweep, objective)
