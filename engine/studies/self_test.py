"""The planted-permutation self-test: can matching undo a permutation that is known?

All groups of a network are permuted at random and the result is matched back to the network
itself. The answer is known, so that every unit can be checked. Units that are exactly alike
(two dead ones, say) may come back in each other's places: that is as right as their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from engine.errors import CancelledError
from engine.matching import MatchResult, StopReason, match_weights
from engine.program import Program
from engine.studies.stages import Progress, Stages
from engine.symmetry import Symmetry, places_of
from engine.symmetry.groups import Group

Json = dict[str, object]
MOST_NAMES = 2
_STAGES = {"plant": 0.0, "match": 0.1, "compare": 0.9, "done": 1.0}


@dataclass(frozen=True)
class Recovery:
    """What became of one group's units.

    Attributes:
        units: how many there are, all copies of a nested group together.
        exact: how many came back to their own places.
        tied: how many did not, but are exactly alike to those whose places they took.
        wrong: how many are in a wrong place.
    """

    number: int
    name: str
    units: int
    exact: int
    tied: int

    @property
    def wrong(self) -> int:
        """How many units are in a place that is not theirs."""
        return self.units - self.exact - self.tied


@dataclass(frozen=True)
class SelfTest:
    """The outcome of one self-test."""

    groups: tuple[Recovery, ...]
    sweeps: int
    stop_sentence: str
    seed: int
    restarts: int
    seconds: float

    @property
    def recovered(self) -> bool:
        """Whether every unit is in its place or in that of an equal one."""
        return not any(group.wrong for group in self.groups)

    @property
    def summary(self) -> Json:
        """JSON values, without the seconds."""
        totals = {
            what: sum(getattr(group, what) for group in self.groups)
            for what in ("units", "exact", "tied", "wrong")
        }
        return {
            "recovered": self.recovered,
            "sentence": self.sentence,
            **totals,
            "groups": [{**asdict(group), "wrong": group.wrong} for group in self.groups],
            "sweeps": self.sweeps,
            "stop_sentence": self.stop_sentence,
            "seed": self.seed,
            "restarts": self.restarts,
        }

    @property
    def sentence(self) -> str:
        """The outcome in one or two sentences."""
        units = sum(group.units for group in self.groups)
        tied = sum(group.tied for group in self.groups)
        wrong = [group for group in self.groups if group.wrong]
        if not units:
            return "This network has no permutation group: there is nothing to plant."
        if wrong:
            names = ", ".join(f"{g.name} ({g.wrong} of {g.units})" for g in wrong[:MOST_NAMES])
            left = len(wrong) - MOST_NAMES
            more = f" and {left} more groups" if left > 0 else ""
            return (
                f"Not every unit was put back: {names}{more}. Matching stopped at a permutation "
                "that no single group can improve; try another seed or more restarts."
            )
        if tied:
            return (
                f"All {units:,} units were put back up to ties: {tied:,} of them are exactly alike "
                "to the unit whose place they took (equal or dead weights), so that either place "
                "is right."
            )
        many = f"{len(self.groups)} groups" if len(self.groups) != 1 else "one group"
        return f"All {units:,} units of {many} were put back into their places."


def self_test(
    program: Program,
    symmetry: Symmetry,
    params: Mapping[str, Tensor],
    *,
    seed: int = 0,
    restarts: int = 1,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SelfTest:
    """Permute all groups of a network at random, match it back, and check every unit.

    Args:
        program: the architecture.
        symmetry: derived from it.
        params: the network's parameters.
        seed: of the planted permutation and of the matching.
        restarts: starts of the matching.
        progress: told the stages and the matching's sweeps.
        should_stop: asked between groups.

    Raises:
        NonFiniteError: the parameters hold NaN or infinite values.
        CancelledError: `should_stop` asked for it.
    """
    began = time.perf_counter()
    stages = Stages(progress, _STAGES)
    params = program.named(params)
    with stages.stage("plant"):
        planted = symmetry.random(torch.Generator().manual_seed(seed))
        other = symmetry.apply(planted, params)
    with stages.stage("match"):
        found = match_weights(
            program,
            symmetry,
            params,
            other,
            seed=seed,
            restarts=restarts,
            progress=stages.sweep,
            should_stop=should_stop,
        )
    if found.stop_reason is StopReason.CANCELLED:
        raise CancelledError("cancelled while matching")
    with stages.stage("compare"):
        both = found.permutation.compose(planted)
        restored = symmetry.apply(found.permutation, other)
        matched = {n: t for n, t in params.items() if n not in program.statistics_names}
        own = symmetry.identity()
        groups = tuple(
            _recovery(number, group, both[group.name] == own[group.name], matched, restored)
            for number, group in enumerate(symmetry.groups, start=1)
        )
    stages.done()
    return _outcome(found, groups, restarts, time.perf_counter() - began)


def _outcome(
    found: MatchResult, groups: tuple[Recovery, ...], restarts: int, seconds: float
) -> SelfTest:
    return SelfTest(groups, found.sweeps, found.stop_reason.sentence, found.seed, restarts, seconds)


def _recovery(
    number: int,
    group: Group,
    exact: Tensor,
    params: Mapping[str, Tensor],
    restored: Mapping[str, Tensor],
) -> Recovery:
    """Return what became of a group's units; `exact` is bool [units] or [copies, units]."""
    alike = torch.ones(group.size, dtype=torch.bool)
    for o in group.occurrences:
        if o.parameter in params:
            changed = params[o.parameter] != restored[o.parameter]
            changed = changed[slice(*(o.rows or (None,)))].movedim(o.axis, 0)
            stretch = changed[places_of(o)].reshape(o.outer, group.size, -1)
            alike &= ~stretch.any(dim=2).any(dim=0)
    tied = ~exact & alike
    return Recovery(number, group.name, exact.numel(), int(exact.sum()), int(tied.sum()))
