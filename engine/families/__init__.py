"""State dict -> architecture, from names and shapes alone, with the evidence."""

from engine.families.family import Family, Recognition
from engine.families.registry import FAMILIES, build_program, module_from, recognise

__all__ = [
    # values
    "FAMILIES",
    "Family",
    "Recognition",
    # functions
    "build_program",
    "module_from",
    "recognise",
]
