"""The parts of a comparison's summary: plain JSON values that pages and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from engine.checkpoints import Checkpoint
from engine.data import Dataset
from engine.landscape import ResetData, geometry_names
from engine.studies.alignment import Alignment
from engine.studies.layers import compare_tensors
from engine.studies.subject import Subject, output_classes
from engine.symmetry import Equivalence, Group, Proof, Symmetry

Json = dict[str, object]


def identity_summary(subject: Subject) -> Json:
    """Return which models are compared."""
    return {
        "a": checkpoint_summary(subject.a),
        "b": checkpoint_summary(subject.b),
        "model": model_summary(subject),
    }


def checkpoint_summary(checkpoint: Checkpoint) -> Json:
    """Return which file a model is and what was done to read it."""
    return {
        "name": checkpoint.name,
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "notes": list(checkpoint.notes),
        "origin": dict(checkpoint.origin),
    }


def model_summary(subject: Subject) -> Json:
    """Return which architecture the pair has and how that was found."""
    program, found = subject.program, subject.recognition
    trained = [spec for spec in program.parameters.values() if spec.trainable]
    count = sum(int(torch.Size(spec.shape).numel()) for spec in trained)
    base: Json = {
        "parameters": count,
        "classes": output_classes(program),
        "input_shape": list(program.inputs[0].shape),
        "inputs": [
            {"name": spec.name, "shape": list(spec.shape), "dtype": str(spec.dtype)[6:]}
            for spec in program.inputs
        ],
    }
    if found is None:
        return base | {
            "family": "module",
            "title": "A model of your own",
            "evidence": ["The model was given as a module and traced."],
            "assumptions": [],
        }
    return base | {
        "family": found.family,
        "title": found.title,
        "evidence": list(found.evidence),
        "assumptions": list(found.assumptions),
    }


def symmetry_summary(symmetry: Symmetry) -> Json:
    """Return the groups, what they move and what stays fixed."""
    return {
        "groups": [
            {
                "name": group.name,
                "size": group.size,
                "layers": list(dict.fromkeys(o.parameter for o in group.occurrences)),
                **nesting_summary(group),
            }
            for group in symmetry.groups
        ],
        "log10_copies": symmetry.log10_copies,
        "moved_parameters": symmetry.moved_parameters,
        "total_parameters": symmetry.total_parameters,
        "fixed": list(symmetry.report.fixed),
        "ops_without_rule": list(symmetry.report.ops_without_rule),
    }


def nesting_summary(group: Group) -> Json:
    """Return how often a nested group is there and within which other, nothing for others."""
    return {"copies": group.copies, "within": group.within} if group.nested else {}


def proof_summary(proof: Proof) -> Json:
    """Return the proof without the time that it took."""
    return {key: value for key, value in asdict(proof).items() if key != "seconds"}


def equivalence_summary(equivalence: Equivalence) -> Json:
    """Return how far π(B) is from B on real data."""
    return asdict(equivalence)


def matching_summary(alignment: Alignment) -> Json:
    """Return the matching: objective, restarts, sweeps, why it stopped, units moved."""
    return {
        "method": alignment.method,
        "seed": alignment.seed,
        "restarts": list(alignment.restarts),
        "objective": alignment.objective,
        "objective_identity": alignment.objective_identity,
        "trace": list(alignment.trace),
        "sweeps": alignment.sweeps,
        "stop_reason": alignment.stop_reason.value,
        "stop_sentence": alignment.stop_reason.sentence,
        "moved_units": alignment.permutation.moved,
        "total_units": alignment.permutation.units,
    }


def distance_summary(subject: Subject, pi_b: Mapping[str, Tensor]) -> Json:
    """Return distances and cosines over the parameters that count in the plane's geometry."""
    names = geometry_names(subject.program)
    models = (subject.a.tensors, subject.b.tensors, pi_b)
    of_a, of_b, of_pi_b = (tuple(model[name] for name in names) for model in models)
    cosine_before, distance_before = compare_tensors(of_a, of_b)
    cosine_after, distance_after = compare_tensors(of_a, of_pi_b)
    return {
        "a_b": distance_before,
        "a_pi_b": distance_after,
        "b_pi_b": compare_tensors(of_b, of_pi_b)[1],
        "cosine_a_b": cosine_before,
        "cosine_a_pi_b": cosine_after,
    }


def batch_norm_summary(subject: Subject, reset: ResetData | None) -> Json:
    """Return how many BatchNorm layers there are and whether their statistics are reset."""
    return {
        "layers": len(subject.program.batch_norms),
        "reset": reset is not None and bool(subject.program.batch_norms),
        "reset_samples": reset.samples if reset and subject.program.batch_norms else 0,
    }


def data_summary(train: Dataset, test: Dataset, seed: int) -> Json:
    """Return which samples were used, with their normalisation."""
    return {
        "name": test.name,
        "title": test.name,
        "train": {"samples": len(train), "seed": seed, "sha256": train.sha256},
        "test": {"samples": len(test), "seed": seed, "sha256": test.sha256},
        "mean": list(test.mean),
        "std": list(test.std),
    }
