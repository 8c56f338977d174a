"""Basinscope's engine: loss landscapes modulo permutation symmetries.

Names are imported when first used, so that a process that only draws stored results (the web
process) never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.checkpoints import Checkpoint, load_checkpoint, read_checkpoint, write_checkpoint
    from engine.data import Dataset, load_dataset
    from engine.families import build_program, recognise
    from engine.landscape import Span, evaluate, line, make_plane
    from engine.matching import (
        MatchResult,
        match_activations,
        match_cosines,
        match_frank_wolfe,
        match_sinkhorn,
        match_steepest,
        match_weights,
        run_method,
        straight_through,
    )
    from engine.program import Program, capture, read_program, save_program
    from engine.repair import REPAIRS, Repaired, calibration_error, ensemble, repaired_line
    from engine.studies.compare import compare
    from engine.studies.merge import MergeResult, merge
    from engine.studies.merge_options import MergeOptions
    from engine.studies.methods import compare_methods
    from engine.studies.methods_options import MethodChoice, MethodsOptions
    from engine.studies.methods_result import MethodsResult
    from engine.studies.options import CompareOptions
    from engine.studies.path import path
    from engine.studies.path_options import PathOptions
    from engine.studies.path_result import PathResult
    from engine.studies.planes import plane
    from engine.studies.planes_options import PlanesOptions
    from engine.studies.planes_result import PlanesResult
    from engine.studies.result import CompareResult
    from engine.symmetry import Permutation, Symmetry, derive_symmetry, equivalence, prove

__version__ = "0.1.0"

_HOMES = {
    "engine.checkpoints": ("Checkpoint", "load_checkpoint", "read_checkpoint", "write_checkpoint"),
    "engine.data": ("Dataset", "load_dataset"),
    "engine.families": ("build_program", "recognise"),
    "engine.landscape": ("Span", "evaluate", "line", "make_plane"),
    "engine.matching": (
        "MatchResult",
        "match_activations",
        "match_cosines",
        "match_frank_wolfe",
        "match_sinkhorn",
        "match_steepest",
        "match_weights",
        "run_method",
        "straight_through",
    ),
    "engine.program": ("Program", "capture", "read_program", "save_program"),
    "engine.repair": ("REPAIRS", "Repaired", "calibration_error", "ensemble", "repaired_line"),
    "engine.studies.compare": ("compare",),
    "engine.studies.options": ("CompareOptions",),
    "engine.studies.result": ("CompareResult",),
    "engine.studies.merge": ("MergeResult", "merge"),
    "engine.studies.merge_options": ("MergeOptions",),
    "engine.studies.methods": ("compare_methods",),
    "engine.studies.methods_options": ("MethodChoice", "MethodsOptions"),
    "engine.studies.methods_result": ("MethodsResult",),
    "engine.studies.path": ("path",),
    "engine.studies.path_options": ("PathOptions",),
    "engine.studies.path_result": ("PathResult",),
    "engine.studies.planes": ("plane",),
    "engine.studies.planes_options": ("PlanesOptions",),
    "engine.studies.planes_result": ("PlanesResult",),
    "engine.symmetry": ("Permutation", "Symmetry", "derive_symmetry", "equivalence", "prove"),
}

__all__ = [
    # models
    "Program",
    "build_program",
    "capture",
    "read_program",
    "recognise",
    "save_program",
    # checkpoints and data
    "Checkpoint",
    "Dataset",
    "load_checkpoint",
    "load_dataset",
    "read_checkpoint",
    "write_checkpoint",
    # symmetry and matching
    "MatchResult",
    "Permutation",
    "Symmetry",
    "derive_symmetry",
    "equivalence",
    "match_activations",
    "match_cosines",
    "match_frank_wolfe",
    "match_sinkhorn",
    "match_steepest",
    "match_weights",
    "prove",
    "run_method",
    "straight_through",
    # after matching (`repair` itself is engine.repair.repair)
    "REPAIRS",
    "Repaired",
    "calibration_error",
    "ensemble",
    "repaired_line",
    # landscapes and whole questions
    "CompareOptions",
    "CompareResult",
    "MethodChoice",
    "MethodsOptions",
    "MethodsResult",
    "MergeOptions",
    "MergeResult",
    "PathOptions",
    "PathResult",
    "PlanesOptions",
    "PlanesResult",
    "Span",
    "compare",
    "compare_methods",
    "evaluate",
    "line",
    "make_plane",
    "merge",
    "path",
    "plane",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
