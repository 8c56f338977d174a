"""The methods of `match`: their options, what they need, and how they are called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine.data import load_dataset
from engine.data.fit import fit_data
from engine.errors import MatchingError, SpecError
from engine.matching import METHODS, MatchResult, Method, Needs, Option, run_method
from engine.program import Program
from engine.studies.subject import output_shape
from engine.symmetry import Symmetry

DEFAULT = next(iter(METHODS))


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """Add `--method` and every option of every method."""
    lacking = (f"{key}: {method.needs.value}" for key, method in METHODS.items())
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        default=DEFAULT,
        help=f"what it needs is, for {'; '.join(lacking)} (default: {DEFAULT})",
    )
    own = parser.add_argument_group("options of single methods")
    for name, takers in _takers().items():
        option = next(iter(takers.values()))
        told = "; ".join(
            f"{', '.join(keys)}: {sentence}" for sentence, keys in _told(takers).items()
        )
        own.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(option.default),
            choices=option.choices or None,
            default=None,
            help=told,
        )


def check_method(options: argparse.Namespace) -> None:
    """Raise SpecError if the chosen method cannot run, before anything is read."""
    method = METHODS[options.method]
    given = _given(options)
    for name in given:
        takers = _takers()[name]
        if method.key not in takers:
            raise SpecError(
                f"{method.title} has no option --{name.replace('_', '-')}: it is for --method "
                f"{' or '.join(takers)}"
            )
    try:
        needs = method.needs_with(given)
    except MatchingError as error:
        raise SpecError(f"--{str(error).replace('_', '-')}") from error
    if needs is not Needs.NOTHING and options.data is None:
        raise SpecError(
            f"{method.title} needs {needs.value}: give --data, such as --data mnist, or "
            f"{_without_data(method, given)}"
        )


def _without_data(method: Method, given: Mapping[str, object]) -> str:
    """Return what to do instead, where there are no samples."""
    for name in given:
        rest = {other: value for other, value in given.items() if other != name}
        if method.needs_with(rest) is Needs.NOTHING:
            return f"leave --{name.replace('_', '-')} out"
    return f"take --method {DEFAULT}, which needs none"


def matched(
    options: argparse.Namespace,
    program: Program,
    symmetry: Symmetry,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
) -> MatchResult:
    """Return what the chosen method finds; its progress goes to stderr.

    Raises:
        BasinscopeError: the models or the data cannot be used.
    """
    method, given = METHODS[options.method], _given(options)
    data = None
    if method.needs_with(given) is not Needs.NOTHING:
        drawn = load_dataset(
            options.data,
            "train",
            samples=options.samples,
            seed=options.seed,
            model_inputs=program.inputs,
        )
        labels = method.needs_with(given) is Needs.TARGETS
        data = fit_data(drawn, program.inputs, output_shape(program) if labels else None)
    return run_method(
        method.key,
        program,
        symmetry,
        a,
        b,
        data=data,
        options=given,
        seed=options.seed,
        progress=_teller(method),
        device=options.device or ("cuda" if torch.cuda.is_available() else "cpu"),
    )


def details(result: MatchResult) -> dict[str, Any]:
    """Return what a result holds beyond the fields that all methods have."""
    common = set(MatchResult.__dataclass_fields__)
    return {
        name: list(value) if isinstance(value := getattr(result, name), tuple) else value
        for name in type(result).__dataclass_fields__
        if name not in common
    }


def _takers() -> dict[str, dict[str, Option]]:
    """Return option → the methods that have it, and what it is there."""
    found: dict[str, dict[str, Option]] = {}
    for key, method in METHODS.items():
        for option in method.options:
            found.setdefault(option.name, {})[key] = option
    return found


def _told(takers: Mapping[str, Option]) -> dict[str, list[str]]:
    """Return what an option sets → the methods where it sets that."""
    told: dict[str, list[str]] = {}
    for key, option in takers.items():
        told.setdefault(f"{option.sentence} ({option.default})", []).append(key)
    return told


def _given(options: argparse.Namespace) -> dict[str, object]:
    """Return the methods' options that were given."""
    values = {name: getattr(options, name) for name in _takers()}
    return {name: value for name, value in values.items() if value is not None}


def _teller(method: Method) -> Callable[[float], None]:
    """Return what prints the share done, once for each tenth."""
    told = -1

    def tell(share: float) -> None:
        nonlocal told
        if (tenths := int(10 * share)) > told:
            told = tenths
            print(f"{method.title}: {10 * tenths} %", file=sys.stderr)

    return tell
