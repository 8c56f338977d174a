"""Inspect: what one network is and which permutations it has, before anything is computed with it.

Tensors, family and groups need names and shapes alone; only the proof needs the weights. What
cannot be found out is said in one sentence, and all that is known is returned nevertheless:
an unknown architecture still has its tensors, a dead network still has its groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from engine.checkpoints import Checkpoint, Header, about, check_finite
from engine.errors import (
    CaptureError,
    NonFiniteError,
    ProgramError,
    ProofError,
    UnknownArchitectureError,
)
from engine.families import checkpoint_program, recognise_checkpoint
from engine.program import Program
from engine.studies.inspect_facts import graph_facts
from engine.studies.inspect_graph import network_graph
from engine.studies.stages import Progress, Stages
from engine.studies.subject import Subject
from engine.studies.summary import (
    checkpoint_summary,
    model_summary,
    proof_summary,
    symmetry_summary,
)
from engine.symmetry import Symmetry, derive_symmetry, prove

Json = dict[str, object]
INSPECT_STAGES: Mapping[str, float] = MappingProxyType(
    {"recognise": 0.0, "trace": 0.1, "symmetry": 0.5, "proof": 0.6, "done": 1.0}
)


@dataclass(frozen=True)
class Inspection:
    """What was found out about one network.

    Attributes:
        summary: `checkpoint`, `tensors`, `model`, `problem` (why there is no model), `symmetry`,
            `graph`, `facts` (of the graph) and `proof`, JSON values only; None where it is not
            known.
        provenance: seconds per stage; no part of the answer.
        program, symmetry: for what comes next; None where the architecture is unknown.
    """

    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]
    program: Program | None = None
    symmetry: Symmetry | None = None


def inspect_network(
    checkpoint: Checkpoint,
    *,
    program: Program | None = None,
    overrides: Mapping[str, Any] | None = None,
    values: bool = True,
    progress: Progress | None = None,
) -> Inspection:
    """Find out what a checkpoint is, its permutation groups, and prove them on its weights.

    Args:
        checkpoint: the network.
        program: its architecture, where the caller knows it; else it is recognised.
        overrides: choices that a state dict does not show (`engine.families.recognise`).
        values: False leaves the proof out: only names and shapes are looked at.
        progress: told the stages, and each part of the summary as soon as it is known.

    Raises:
        SpecError: an override is unknown.
    """
    stages = Stages(progress, INSPECT_STAGES)
    parts = _tensors(checkpoint)
    stages.partial(parts)
    symmetry = None
    try:
        with about(checkpoint):
            subject = _recognised(checkpoint, program, overrides or {}, stages)
    except (UnknownArchitectureError, CaptureError) as error:
        parts |= {"model": None, "problem": str(error)}
        return Inspection(parts, {"seconds": stages.seconds})
    parts |= {"model": model_summary(subject), "problem": None}
    stages.partial(parts)
    with stages.stage("symmetry"):
        symmetry = derive_symmetry(subject.program)
        parts |= {
            "symmetry": group_map(symmetry),
            "graph": network_graph(subject.program, symmetry),
            "facts": graph_facts(subject.program),
        }
    stages.partial(parts)
    if values:
        with stages.stage("proof"):
            parts["proof"] = _proof(subject, symmetry, stages)
    stages.done()
    return Inspection(parts, {"seconds": stages.seconds}, subject.program, symmetry)


def inspect_header(
    header: Header,
    *,
    program: Program | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Find out what a file's headers show: everything but the proof.

    Args and errors are those of `inspect_network`. The summary's `problem` says why the whole
    file could not be read, where its architecture is known and that is so.
    """
    nameless = unread(header)
    found = inspect_network(
        nameless, program=program, overrides=overrides, values=False, progress=progress
    )
    problem = header.problem and f"{header.name}: {header.problem}"
    summary = {**found.summary, "problem": found.summary["problem"] or problem}
    return Inspection(summary, found.provenance, found.program, found.symmetry)


def unread(header: Header) -> Checkpoint:
    """Return a file's headers as a checkpoint whose tensors hold no values; no fingerprint."""
    return Checkpoint(
        header.tensors,
        "",
        header.name,
        header.format,
        header.notes,
        graph=header.graph,
        config=header.config,
    )


def group_map(symmetry: Symmetry) -> Json:
    """Return the symmetry's summary with what each group permutes, axis by axis."""
    summary = symmetry_summary(symmetry)
    numbers = {group.name: number for number, group in enumerate(symmetry.groups, start=1)}
    summary["groups"] = [
        {
            "number": numbers[group.name],
            "name": group.name,
            "size": group.size,
            "copies": group.copies,
            "within": numbers.get(group.within or ""),
            "layers": list(dict.fromkeys(o.parameter for o in group.occurrences)),
            "axes": [
                {"parameter": parameter, "axis": axis}
                for parameter, axis in dict.fromkeys(
                    (o.parameter, o.axis) for o in group.occurrences
                )
            ],
        }
        for group in symmetry.groups
    ]
    return summary


def _tensors(checkpoint: Checkpoint) -> Json:
    tensors = [
        {
            "name": name,
            "shape": list(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "bytes": tensor.numel() * tensor.itemsize,
        }
        for name, tensor in checkpoint.tensors.items()
    ]
    empty = dict.fromkeys(("model", "problem", "symmetry", "graph", "facts", "proof"))
    return {"checkpoint": checkpoint_summary(checkpoint), "tensors": tensors, **empty}


def _recognised(
    checkpoint: Checkpoint,
    program: Program | None,
    overrides: Mapping[str, Any],
    stages: Stages,
) -> Subject:
    if program is not None:
        return Subject(checkpoint, checkpoint, program.under_names(checkpoint.tensors), None)
    with stages.stage("recognise"):
        recognition = recognise_checkpoint(checkpoint, **overrides)
    with stages.stage("trace"):
        program = checkpoint_program(checkpoint, recognition)
    return Subject(checkpoint, checkpoint, program, recognition)


def _proof(subject: Subject, symmetry: Symmetry, stages: Stages) -> Json:
    """Return the proof, or why there is none: that is an answer too."""
    try:
        check_finite(subject.a)
        subject.program.check(subject.a.tensors)
        proof = prove(subject.program, symmetry, subject.a.tensors)
    except (ProofError, NonFiniteError, ProgramError) as error:
        return {"passed": False, "reason": str(error)}
    return {**proof_summary(proof), "reason": None}
