"""Activation matching: units that do the same on data belong together.

Git Re-Basin's first method (Ainsworth et al. 2022, arXiv 2209.04836, section 3.1): for each
permutation an assignment problem of its own on Z_A Z_Bᵀ, the activations of the two models on
the same samples, or on their correlations (Li et al. 2016, arXiv 1511.07543). The values are those
of the graph's own taps (`engine.symmetry.taps`), so any architecture will do; several taps of a
group are averaged. Nested groups are solved within each pair of outer units.

What a likeness C asks for is the same as what a parameter C of a beside a parameter I of b asks
for: C·Iᵀ = C. So likenesses enter the shared problem as parameters that are not there, and ties,
dead units, nested groups and mixtures with the weights' own costs need no code of their own.

Needs inputs, no targets. A group that no layer's input shows cannot be matched so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.descent import coordinate_descent
from engine.matching.problem import Problem
from engine.matching.result import MatchResult, StopReason
from engine.matching.tap_statistics import STATISTICS, Models, Statistic, Sums, tap_sums
from engine.symmetry import Occurrence, Permutation, Symmetry
from engine.symmetry.taps import Tap, taps

if TYPE_CHECKING:
    from engine.program import Program

METHOD = "activation"
MOST_STATISTICS_BYTES = 8 << 30
MOST_SWEEPS = 100


@dataclass(frozen=True)
class ActivationMatch(MatchResult):
    """A MatchResult of activation matching; `trace` follows `likeness`, or the mixture.

    Attributes:
        likeness: mean over the groups of how alike the matched units are, at most 1: the
            cosine of all activations, or the mean correlation of the units.
        likeness_identity: the same for the identity.
        statistic: "inner_product" or "correlation".
        mixture: share of the activations in what was maximised; the rest is the weights'.
        samples: number of samples.
    """

    likeness: float
    likeness_identity: float
    statistic: str
    mixture: float
    samples: int


def match_activations(
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    inputs: Tensor | tuple[Tensor, ...],
    *,
    statistic: Statistic = "correlation",
    mixture: float = 1.0,
    seed: int = 0,
    batch_size: int = 250,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> ActivationMatch:
    """Return the permutation of b under which its units act most like those of a.

    Args:
        program: the model.
        symmetry: its permutation groups, derived from it.
        a: reference parameters by name.
        b: parameters to be permuted.
        inputs: one tensor [samples, *shape] per input of the program.
        statistic: "inner_product" or "correlation".
        mixture: 1 for activations alone; below, the rest of 1 is the cosine of the weights,
            and the groups are solved in turn as in weight matching.
        seed: of the visiting orders; it matters where groups depend on one another.
        batch_size: samples at a time; it changes the result by rounding only.
        progress: called with the number of samples read and of all.
        should_stop: asked between batches and groups; the identity is returned if the data
            was not read to its end.
        device: where models run and products are made.

    Raises:
        MatchingError: models, inputs or options do not fit, a group cannot be seen, or the
            statistics would not fit in memory.
        NonFiniteError: a model holds NaN or infinite values.
    """
    began = time.perf_counter()
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    _check_options(statistic, mixture, batch_size, given)
    weights = Problem(symmetry, a, b, exclude=program.statistics_names, device=device)
    found = _taps(program, symmetry, mixture)
    _check_memory(symmetry, found)
    with torch.inference_mode():
        models = _working(program, a, b, torch.device(device))
        sums = {tap: _empty(symmetry, group, models) for group, own in found.items() for tap in own}
        done = not sums or tap_sums(
            program,
            models,
            given,
            sums,
            statistic=statistic,
            batch_size=batch_size,
            progress=progress,
            should_stop=should_stop,
        )
        likenesses = _likenesses(found, sums, statistic) if done else {}
        seen, mixed = _problems(program, symmetry, models, likenesses, mixture)
        start = mixed.identity()
        descent = coordinate_descent(
            mixed,
            start,
            torch.Generator().manual_seed(seed),
            max_sweeps=MOST_SWEEPS,
            should_stop=should_stop,
        )
        objective = weights.objective(descent.perms)
        return ActivationMatch(
            permutation=Permutation(descent.perms, symmetry.within),
            objective=objective,
            objective_identity=weights.objective(start),
            trace=descent.trace,
            sweeps=descent.sweeps,
            restarts=(objective,),
            stop_reason=_reason(symmetry, descent.stop_reason if done else None),
            seconds=time.perf_counter() - began,
            method=METHOD,
            seed=seed,
            likeness=seen.objective(descent.perms),
            likeness_identity=seen.objective(start),
            statistic=statistic,
            mixture=mixture,
            samples=len(given[0]),
        )


def _reason(symmetry: Symmetry, reason: StopReason | None) -> StopReason:
    """Return why it stopped; None where the data was not read to its end."""
    if not symmetry.groups:
        return StopReason.NO_SYMMETRY
    return StopReason.CANCELLED if reason is None else reason


def _check_options(
    statistic: str, mixture: float, batch_size: int, inputs: tuple[Tensor, ...]
) -> None:
    if statistic not in STATISTICS:
        raise MatchingError(f"statistic is one of {', '.join(STATISTICS)}, not {statistic!r}")
    if not 0 < mixture <= 1:
        raise MatchingError(
            f"mixture must be above 0 and at most 1, not {mixture}; without activations, match "
            "the weights"
        )
    if batch_size < 1:
        raise MatchingError(f"batch_size must be at least 1, not {batch_size}")
    if len({len(tensor) for tensor in inputs}) != 1 or not len(inputs[0]):
        counts = ", ".join(str(len(tensor)) for tensor in inputs) or "no inputs"
        raise MatchingError(
            f"activation matching needs at least one sample and as many of each input; there are "
            f"{counts}"
        )


def _taps(program: Program, symmetry: Symmetry, mixture: float) -> dict[str, tuple[Tap, ...]]:
    """Return the taps of each group that has some.

    Raises:
        MatchingError: the symmetry is not the program's, or nothing tells of some group.
    """
    found = taps(program)
    names = [group.name for group in symmetry.groups]
    if set(names) != set(found):
        raise MatchingError("the symmetry was not derived from this model; derive it anew")
    told = {g.within for g in symmetry.groups if found[g.name]}
    unseen = [name for name in names if not found[name] and name not in told]
    if unseen and mixture == 1:
        raise MatchingError(
            f"no layer reads values that show the units of {', '.join(unseen)}, so activations "
            "cannot match them; match the weights, or mix both (mixture below 1)"
        )
    return {name: found[name] for name in names if found[name]}


def check_activations(program: Program, symmetry: Symmetry, settings: Mapping[str, object]) -> None:
    """Raise MatchingError if a model cannot be matched so, before any data is read."""
    mixture = settings["mixture"]
    assert isinstance(mixture, float)
    _check_memory(symmetry, _taps(program, symmetry, mixture))


def _check_memory(symmetry: Symmetry, found: Mapping[str, tuple[Tap, ...]]) -> None:
    """Raise MatchingError if sums over pairs of units would not fit."""
    groups = {group.name: group for group in symmetry.groups}
    needed = 0
    for name, own in found.items():
        group = groups[name]
        pairs = group.copies * group.size**2 * (1 if group.within is None else group.copies)
        needed += 8 * pairs * (len(own) + 1)
    if needed > MOST_STATISTICS_BYTES:
        raise MatchingError(
            f"activation matching would keep {needed / 2**30:.1f} GiB of sums over pairs of units, "
            f"more than {MOST_STATISTICS_BYTES >> 30} GiB; match the weights"
        )


def _working(
    program: Program, a: Mapping[str, Tensor], b: Mapping[str, Tensor], device: torch.device
) -> Models:
    """Return both models in one precision, float32 or float64, and on one device."""
    named = [program.named(model) for model in (a, b)]
    double = any(t.dtype == torch.float64 for model in named for t in model.values())
    dtype = torch.float64 if double else torch.float32
    moved = [
        {n: t.to(device, dtype if t.is_floating_point() else None) for n, t in model.items()}
        for model in named
    ]
    return moved[0], moved[1]


def _empty(symmetry: Symmetry, name: str, models: Models) -> Sums:
    group = next(group for group in symmetry.groups if group.name == name)
    device = next(iter(models[0].values())).device
    return Sums.empty(group.copies, group.size, group.nested and group.within is None, device)


def _likenesses(
    found: Mapping[str, tuple[Tap, ...]], sums: Mapping[Tap, Sums], statistic: Statistic
) -> dict[str, Tensor]:
    """Return for each group the mean of its taps' likenesses."""
    epsilon = torch.finfo(torch.float32).eps
    return {
        name: torch.stack([sums[tap].likeness(statistic, epsilon) for tap in own]).mean(0)
        for name, own in found.items()
    }


def _problems(
    program: Program,
    symmetry: Symmetry,
    models: Models,
    likenesses: Mapping[str, Tensor],
    mixture: float,
) -> tuple[Problem, Problem]:
    """Return the problem of the activations alone, and the one to be solved."""
    a, b = models
    names = set(symmetry.layouts)
    number = max(1, len(likenesses))
    seen = _with_likenesses(symmetry, models, likenesses, 1 / number, names)
    if mixture == 1:
        return seen, seen
    trained = names - program.statistics_names
    lengths = [
        sum(float(model[name].double().square().sum()) for name in trained) for model in (a, b)
    ]
    # The cosine of the weights stays undivided, so that their own costs stay what they are.
    share = mixture / (1 - mixture) * (lengths[0] * lengths[1]) ** 0.5 / number
    return seen, _with_likenesses(symmetry, models, likenesses, share, program.statistics_names)


def _with_likenesses(
    symmetry: Symmetry,
    models: Models,
    likenesses: Mapping[str, Tensor],
    scale: float,
    exclude: Collection[str],
) -> Problem:
    """Return the shared problem with each likeness C as a parameter C of a and I of b."""
    a, b = dict(models[0]), dict(models[1])
    dtype = next(t.dtype for t in a.values() if t.is_floating_point())
    groups = {group.name: group for group in symmetry.groups}
    shapes = dict(symmetry.shapes)
    for name, likeness in likenesses.items():
        group, key = groups[name], f"what the units of {name} do"
        c = (likeness.flatten(0, -2) * scale).to(dtype)
        eye = torch.eye(c.shape[1], dtype=dtype, device=c.device)
        a[key], b[key] = c, eye.repeat(len(c) // len(eye), 1)
        shapes[key] = tuple(c.shape)
        under = Occurrence(key, 0, 0, 1, group.copies, group.size) if group.nested else None
        own = Occurrence(key, 0, 0, group.copies, group.size, 1, under)
        groups[name] = replace(group, occurrences=(*group.occurrences, own))
        if under is not None and group.within is not None:
            outer = groups[group.within]
            groups[outer.name] = replace(outer, occurrences=(*outer.occurrences, under))
    seen = replace(symmetry, groups=tuple(groups.values()), shapes=shapes)
    device = next(iter(a.values())).device
    return Problem(seen, a, b, exclude=exclude, device=device)
