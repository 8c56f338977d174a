"""`inspect FILE…`: what a checkpoint is, which permutations its network has, and the proof."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.checkpoints import (
    Checkpoint,
    check_fit,
    load_checkpoint,
    may_be_reference,
    read_header,
)
from engine.commandline.inspect_text import inspection_text
from engine.commandline.output import add_json, byte_bar, print_json
from engine.commandline.values import add_family_options, pairs, positive, seed
from engine.errors import SpecError
from engine.program import Program
from engine.studies.inspect import Inspection, inspect_header, inspect_network, unread
from engine.studies.self_test import self_test

Report = dict[str, Any]


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect", help="tensors, family, groups and proof of checkpoints; a self-test"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="path or org/name[@rev][:file]")
    parser.add_argument("--tree", action="store_true", help="print the tree of tensors as well")
    parser.add_argument(
        "--header-only",
        action="store_true",
        help="read no tensor's bytes: everything but the proof, at once, for a file of any size",
    )
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="permute each network at random and match it back to itself",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the self-test (default 0)")
    parser.add_argument(
        "--restarts", type=positive, default=1, help="starts of the self-test's matching"
    )
    add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Inspect every file; more than one are checked to fit together.

    Returns:
        0, or 1 where a file is not recognised, not proved, or not recovered by its self-test.

    Raises:
        BasinscopeError: a file cannot be read, the files do not fit, or an option makes no sense.
    """
    if options.header_only and options.self_test:
        raise SpecError("--self-test needs the weights, which --header-only does not read")
    overrides = pairs(options.option)
    checkpoints, reports = [], []
    lent: Program | None = None  # the graph that a .pt2 brings serves files of weights after it
    for file in options.files:
        if options.header_only:
            checkpoint, found = _headers(file, overrides, lent)
        else:
            checkpoint, found = _network(file, overrides, lent)
        lent = found.program if checkpoint.graph is not None else lent
        reports.append(report(found, _tested(checkpoint, found, options)))
        checkpoints.append(checkpoint)
    if options.json:
        _check_fit(checkpoints)
        print_json({"checkpoints": reports, "fit": True if len(checkpoints) > 1 else None})
    else:
        print("\n\n".join(inspection_text(each, tree=options.tree) for each in reports))
        _check_fit(checkpoints)
        if len(checkpoints) > 1:
            print(f"\nAll {len(checkpoints)} checkpoints fit together: same tensors, same shapes.")
    return 1 if any(map(_failed, reports)) else 0


def report(found: Inspection, test: Report | None = None) -> Report:
    """Return what was found as the JSON that `--json` prints, one level deep."""
    summary: Mapping[str, Any] = found.summary
    return {
        **summary["checkpoint"],
        "problem": summary["problem"],
        **(summary["model"] or {}),
        **(summary["symmetry"] or {}),
        "proof": summary["proof"],
        "self_test": test,
        "tensors": summary["tensors"],
        "graph": summary["graph"],
        "facts": summary["facts"],
        "seconds": found.provenance["seconds"],
    }


def _network(
    file: str, overrides: Mapping[str, object], lent: Program | None
) -> tuple[Checkpoint, Inspection]:
    checkpoint = load_checkpoint(file, progress=byte_bar())
    found = inspect_network(checkpoint, overrides=overrides)
    if _takes(checkpoint, found, lent):
        found = inspect_network(checkpoint, program=lent)
    return checkpoint, found


def _headers(
    file: str, overrides: Mapping[str, object], lent: Program | None
) -> tuple[Checkpoint, Inspection]:
    if may_be_reference(file) and not Path(file).exists():
        raise SpecError(f"--header-only reads files on this machine; '{file}' is none")
    header = read_header(file)
    nameless, found = unread(header), inspect_header(header, overrides=overrides)
    if _takes(nameless, found, lent):
        found = inspect_header(header, program=lent)
    return nameless, found


def _takes(checkpoint: Checkpoint, found: Inspection, lent: Program | None) -> bool:
    """Whether a graph that came before serves weights that are not recognised by themselves."""
    return (
        found.program is None
        and lent is not None
        and set(lent.parameters) <= set(checkpoint.tensors)
    )


def _tested(
    checkpoint: Checkpoint, found: Inspection, options: argparse.Namespace
) -> Report | None:
    """Return the self-test's outcome, None where none is asked for or possible."""
    if not options.self_test or found.program is None or found.symmetry is None:
        return None
    test = self_test(
        found.program,
        found.symmetry,
        checkpoint.tensors,
        seed=options.seed,
        restarts=options.restarts,
    )
    return {**test.summary, "seconds": test.seconds}


def _check_fit(checkpoints: list[Checkpoint]) -> None:
    for other in checkpoints[1:]:
        check_fit(checkpoints[0], other)


def _failed(one: Report) -> bool:
    proof, test = one["proof"] or {}, one["self_test"] or {}
    good = proof.get("passed", True) and test.get("recovered", True)
    return bool(one["problem"]) or not good
