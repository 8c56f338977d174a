"""Checkpoint -> architecture: from names and shapes alone, or from the graph that it carries."""

from engine.families.exported import checkpoint_program, recognise_checkpoint
from engine.families.family import Family, Recognition
from engine.families.registry import FAMILIES, build_program, module_from, recognise

__all__ = [
    # values
    "FAMILIES",
    "Family",
    "Recognition",
    # functions
    "build_program",
    "checkpoint_program",
    "module_from",
    "recognise",
    "recognise_checkpoint",
]
