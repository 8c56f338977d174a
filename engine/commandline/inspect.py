"""`inspect FILE…`: what a checkpoint is, and which permutations its network has."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from engine.checkpoints import Checkpoint, about, check_finite, check_fit, load_checkpoint
from engine.commandline.output import add_json, byte_bar, print_json
from engine.commandline.values import add_family_options, pairs
from engine.families import checkpoint_program, recognise_checkpoint
from engine.studies.summary import nesting_summary
from engine.symmetry import derive_symmetry, prove


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect", help="family, evidence, groups and proof of checkpoints"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="path or org/name[@rev][:file]")
    add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Inspect every file; more than one are checked to fit together.

    Raises:
        BasinscopeError: a file cannot be read or recognised, or the files do not fit.
    """
    overrides = pairs(options.option)
    found = [load_checkpoint(file, progress=byte_bar()) for file in options.files]
    reports = [describe(checkpoint, overrides) for checkpoint in found]
    for other in found[1:]:
        check_fit(found[0], other)
    if options.json:
        print_json({"checkpoints": reports, "fit": True if len(found) > 1 else None})
        return
    print("\n\n".join(_text(report) for report in reports))
    if len(found) > 1:
        print(f"\nAll {len(found)} checkpoints fit together: same tensors, same shapes.")


def describe(checkpoint: Checkpoint, overrides: Mapping[str, object]) -> dict:
    """Return the report on one checkpoint, JSON values only."""
    check_finite(checkpoint)
    with about(checkpoint):
        recognition = recognise_checkpoint(checkpoint, **overrides)
        program = checkpoint_program(checkpoint, recognition)
        symmetry = derive_symmetry(program)
        proof = prove(program, symmetry, checkpoint.tensors)
    return {
        "name": checkpoint.name,
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "notes": list(checkpoint.notes),
        "family": recognition.family,
        "title": recognition.title,
        "evidence": list(recognition.evidence),
        "assumptions": list(recognition.assumptions),
        "parameters": recognition.parameters,
        "input_shape": list(recognition.input_shape),
        "classes": recognition.classes,
        "groups": [
            {"name": group.name, "size": group.size, **nesting_summary(group)}
            for group in symmetry.groups
        ],
        "log10_copies": symmetry.log10_copies,
        "moved_parameters": symmetry.moved_parameters,
        "fixed": list(symmetry.report.fixed),
        "ops_without_rule": list(symmetry.report.ops_without_rule),
        "proof": {
            "passed": proof.passed,
            "max_abs_difference": proof.max_abs_difference,
            "trials": proof.trials,
        },
    }


def _group(group: Mapping) -> str:
    text = f"{group['name']}: {group['size']} units"
    if "copies" not in group:
        return text
    each = group["within"] or f"{group['copies']} fixed ones"
    return f"{text} under each of {each}"


def _text(report: Mapping) -> str:
    lines = [f"{report['name']}: {report['title']}, {report['parameters']:,} parameters"]
    lines += [f"  {note}" for note in report["notes"]]
    lines += ["evidence", *(f"  {sentence}" for sentence in report["evidence"])]
    if report["assumptions"]:
        lines += ["assumed", *(f"  {sentence}" for sentence in report["assumptions"])]
    lines.append(f"permutation groups (10^{report['log10_copies']:.0f} equal networks)")
    lines += [f"  {_group(group)}" for group in report["groups"]]
    without = ", ".join(report["ops_without_rule"]) or "none"
    lines.append(f"ops without a rule: {without}")
    proof = report["proof"]
    found = (
        f"{proof['trials']} random permutations changed no output by more than "
        f"{proof['max_abs_difference']:.1e} (float64)"
    )
    lines.append(f"proof: {found if proof['trials'] else 'there is nothing to prove'}")
    return "\n".join(lines)
