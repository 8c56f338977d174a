"""The methods of `match`: their options, what they need, and how they are called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from engine.commandline.values import positive
from engine.data import load_dataset
from engine.data.fit import fit_data
from engine.errors import SpecError
from engine.matching import (
    METHODS,
    MatchResult,
    Needs,
    match_activations,
    match_weights,
    straight_through,
)
from engine.matching.tap_statistics import STATISTICS
from engine.program import Program
from engine.symmetry import Symmetry

WEIGHT, ACTIVATION, STRAIGHT_THROUGH = METHODS


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """Add `--method` and what belongs to single methods."""
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        default=WEIGHT,
        help="weight: no data (default); activation: samples; ste: samples and labels",
    )
    parser.add_argument("--restarts", type=positive, default=1, help="weight: the best start wins")
    parser.add_argument("--max-sweeps", type=positive, default=100, help="weight, ste")
    parser.add_argument(
        "--statistic", choices=STATISTICS, default="correlation", help="activation: what is alike"
    )
    parser.add_argument(
        "--mixture", type=float, default=1.0, help="activation: its share beside the weights'"
    )
    parser.add_argument("--steps", type=positive, default=200, help="ste: steps of SGD")


def check_method(options: argparse.Namespace) -> None:
    """Raise SpecError if the chosen method cannot run, before anything is read."""
    method = METHODS[options.method]
    if method.needs is not Needs.NOTHING and options.data is None:
        raise SpecError(
            f"{method.title} needs {method.needs.value}: give --data, such as --data mnist, or "
            f"take --method {WEIGHT}, which needs none"
        )


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
    pair = (program, symmetry, a, b)
    if options.method == WEIGHT:
        return match_weights(
            *pair,
            seed=options.seed,
            restarts=options.restarts,
            max_sweeps=options.max_sweeps,
            progress=lambda sweep, value: _tell(f"sweep {sweep}: {value:.6g}"),
        )
    drawn = load_dataset(
        options.data,
        "train",
        samples=options.samples,
        seed=options.seed,
        model_inputs=program.inputs,
    )
    data = fit_data(drawn, program.inputs, None)
    if options.method == ACTIVATION:
        return match_activations(
            *pair,
            data.tensors,
            statistic=options.statistic,
            mixture=options.mixture,
            seed=options.seed,
            progress=lambda done, total: _tell(f"samples {done} of {total}"),
        )
    return straight_through(
        *pair,
        data.tensors,
        data.targets,
        steps=options.steps,
        max_sweeps=options.max_sweeps,
        seed=options.seed,
        progress=lambda step, loss: _tell(f"step {step}: midpoint loss {loss:.6g}"),
    )


def details(result: MatchResult) -> dict[str, Any]:
    """Return what a result holds beyond the fields that all methods have."""
    common = set(MatchResult.__dataclass_fields__)
    return {
        name: list(value) if isinstance(value := getattr(result, name), tuple) else value
        for name in type(result).__dataclass_fields__
        if name not in common
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
