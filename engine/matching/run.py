"""Run any matching method by its key: one call for all, and why one cannot run, beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from engine.errors import MatchingError
from engine.matching.activation_matching import check_activations, match_activations
from engine.matching.cosine import match_cosines
from engine.matching.frank_wolfe import match_frank_wolfe
from engine.matching.methods import Counts, Method, find_method
from engine.matching.option import Needs, Value
from engine.matching.relaxation import check_relaxation
from engine.matching.result import MatchResult
from engine.matching.sinkhorn_rebasin import match_sinkhorn
from engine.matching.steepest_descent import match_steepest
from engine.matching.straight_through_estimator import straight_through
from engine.matching.weight_matching import match_weights

if TYPE_CHECKING:
    from engine.program import Program
    from engine.symmetry import Symmetry

NOT_DONE_PER_SWEEP = 0.8
"""How many sweeps a descent takes is not known beforehand; most take five to fifteen."""

_FUNCTIONS: Mapping[str, Callable[..., MatchResult]] = {
    "weight": match_weights,
    "activation": match_activations,
    "ste": straight_through,
    "sinkhorn": match_sinkhorn,
    "frank-wolfe": match_frank_wolfe,
    "cosine": match_cosines,
    "steepest": match_steepest,
}


def _check_starts(program: Program, symmetry: Symmetry, settings: Mapping[str, Value]) -> None:
    """Raise MatchingError if a start from activation matching is asked for and cannot be had."""
    if settings["also_from"] == "activation":
        check_activations(program, symmetry, {"mixture": 1.0})


_CHECKS: Mapping[str, Callable[..., None]] = {
    "weight": _check_starts,
    "activation": check_activations,
    "sinkhorn": check_relaxation,
    "frank-wolfe": check_relaxation,
}
"""Key → what raises MatchingError if a method cannot treat a model, given its settings."""


class Samples(Protocol):
    """What a method sees: `engine.data.Dataset`, or anything with the same two tensors."""

    @property
    def inputs(self) -> Tensor | tuple[Tensor, ...]:
        """One tensor [N, *shape], or one per input of the program."""
        ...

    @property
    def targets(self) -> Tensor | None:
        """Classes int64 [N], tokens int64 [N, T], or floating-point values [N, …]."""
        ...


def run_method(
    key: str,
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    *,
    data: Samples | None = None,
    options: Mapping[str, object] = MappingProxyType({}),
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> MatchResult:
    """Return the permutation of b that a method finds.

    Args:
        key: of METHODS.
        program: the model.
        symmetry: its permutation groups.
        a: reference parameters by name.
        b: parameters to be permuted.
        data: samples, for the methods that look at some.
        options: the method's own, by name.
        seed: of everything that is drawn.
        progress: called with the share done, from 0 to 1; it never falls and ends at 1.
        should_stop: asked often; the best so far is then returned.
        device: where everything runs.

    Raises:
        MatchingError: the method cannot run (see `obstacle`), or an option makes no sense.
        NonFiniteError: a model holds NaN or infinite values.
    """
    method = find_method(key)
    settings = method.settings(options)
    if (reason := obstacle(key, program, symmetry, data, device, options)) is not None:
        raise MatchingError(reason)
    result = _FUNCTIONS[key](
        program,
        symmetry,
        a,
        b,
        *_seen(method.needs_with(options), data),
        **settings,
        seed=seed,
        progress=None if progress is None else partial(_tell, method, settings, progress),
        should_stop=should_stop,
        device=device,
    )
    if progress is not None:
        progress(1.0)
    return result


def obstacle(
    key: str,
    program: Program,
    symmetry: Symmetry,
    data: Samples | None,
    device: torch.device | str = "cpu",
    options: Mapping[str, object] = MappingProxyType({}),
) -> str | None:
    """Return why a method cannot run on a model and these data, None if nothing stands against it.

    Raises:
        MatchingError: there is no such method or option.
    """
    method = find_method(key)
    settings = method.settings(options)
    needs = method.needs_with(options)
    if needs is not Needs.NOTHING and data is None:
        return f"{method.title} needs {needs.value}, and no data is chosen"
    if needs is Needs.TARGETS and data is not None and data.targets is None:
        return f"{method.title} needs {needs.value}, and these data have no labels"
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        return (
            f"{method.title} is asked to run on {device}, but torch finds no CUDA device here; "
            "take the cpu"
        )
    try:
        if key in _CHECKS:
            _CHECKS[key](program, symmetry, settings)
    except MatchingError as error:
        return str(error)
    return None


def _seen(needs: Needs, data: Samples | None) -> tuple[Tensor | tuple[Tensor, ...], ...]:
    """Return what a method takes after the models."""
    if data is None or needs is Needs.NOTHING:
        return ()
    if data.targets is None or needs is Needs.INPUTS:
        return (data.inputs,)
    return (data.inputs, data.targets)


def _tell(
    method: Method,
    settings: Mapping[str, Value],
    progress: Callable[[float], None],
    count: int,
    value: float,
) -> None:
    """Say a method's own progress as a share."""
    if method.counts is Counts.PARTS:
        progress(count / value)
    elif method.counts is Counts.STEPS:
        progress(count / float(settings["steps"]))
    else:
        starts = float(settings.get("restarts", 1)) + float(settings.get("escapes", 0)) / 5
        progress(1 - NOT_DONE_PER_SWEEP ** (count / starts))
