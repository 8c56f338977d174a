"""What a merge is about: two to many checkpoints of one architecture, and their Program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import Tensor

from engine.checkpoints import Checkpoint, check_fit, stated_options
from engine.errors import SpecError
from engine.families import architecture_source, check_same_config
from engine.program import Program
from engine.studies.merge_options import MOST_MODELS
from engine.studies.subject import Subject, prepare


@dataclass(frozen=True)
class Models:
    """Checkpoints of one architecture.

    Args:
        checkpoints: two or more; the first one's order, names and dtypes are the result's.
        subject: the first and another one, with the Program of all.
    """

    checkpoints: tuple[Checkpoint, ...]
    subject: Subject

    @property
    def program(self) -> Program:
        """The architecture, with the checkpoints' own parameter names."""
        return self.subject.program

    @property
    def tensors(self) -> tuple[Mapping[str, Tensor], ...]:
        """Each model's tensors by name."""
        return tuple(checkpoint.tensors for checkpoint in self.checkpoints)

    @property
    def stated(self) -> Mapping[str, Any]:
        """What the files state of themselves that tensors do not show."""
        stated = (stated_options(checkpoint.config) for checkpoint in self.checkpoints)
        return next((options for options in stated if options), {})


def prepare_many(
    checkpoints: Sequence[Checkpoint], program: Program | None, overrides: Mapping[str, Any]
) -> Models:
    """Return the models with their Program: the one given, else that of a graph or a family.

    Raises:
        SpecError: there are fewer than two, or too many.
        MismatchError: two do not have the same tensors, or compute different functions.
        NonFiniteError: a checkpoint holds NaN or infinite weights.
        UnknownArchitectureError: no family recognises them and no Program was given.
    """
    check_count(len(checkpoints))
    return fitted(checkpoints, program, overrides)


def check_count(count: int) -> None:
    """Raise SpecError unless so many checkpoints can be merged."""
    if not 2 <= count <= MOST_MODELS:
        raise SpecError(f"a merge takes 2 to {MOST_MODELS} checkpoints, not {count}; name others")


def fitted(
    checkpoints: Sequence[Checkpoint], program: Program | None, overrides: Mapping[str, Any]
) -> Models:
    """Return one or more models with their Program; raises as `prepare_many` does."""
    first, *others = checkpoints
    for other in others if len(others) > 1 else ():
        check_fit(first, other, (first.name, other.name))
    source = reduce(architecture_source, checkpoints)
    if not others:
        return Models((first,), prepare(first, first, program, overrides))
    partner = others[0] if source is first else source
    subject = prepare(first, partner, program, overrides)
    for other in others:
        if other is partner:
            continue
        if program is None:
            check_same_config(source, other)
        prepare(first, other, subject.program, {})
    return Models(tuple(checkpoints), subject)
