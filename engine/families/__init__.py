"""Checkpoint -> architecture: from names and shapes alone, or from the graph that it carries."""

from engine.families.exported import (
    architecture_source,
    check_same_config,
    checkpoint_program,
    recognise_checkpoint,
)
from engine.families.family import Family, Recognition
from engine.families.registry import FAMILIES, build_program, module_from, recognise

__all__ = [
    # values
    "FAMILIES",
    "Family",
    "Recognition",
    # functions
    "architecture_source",
    "build_program",
    "check_same_config",
    "checkpoint_program",
    "module_from",
    "recognise",
    "recognise_checkpoint",
]
