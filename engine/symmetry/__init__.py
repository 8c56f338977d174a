"""Permutation symmetries, derived from a Program's graph and proved on its parameters."""

from engine.symmetry.derive import derive_symmetry
from engine.symmetry.equivalence import Equivalence, equivalence
from engine.symmetry.groups import Group
from engine.symmetry.layout import Carried, Layout, Perms, axis_index
from engine.symmetry.occurrence import Occurrence, places_of, units_of, with_units
from engine.symmetry.permutation import Permutation
from engine.symmetry.prove import Proof, prove
from engine.symmetry.report import Report
from engine.symmetry.symmetry import Symmetry, drawn, unmoved

__all__ = [
    "Carried",
    "Equivalence",
    "Group",
    "Layout",
    "Occurrence",
    "Permutation",
    "Perms",
    "Proof",
    "Report",
    "Symmetry",
    "axis_index",
    "derive_symmetry",
    "drawn",
    "equivalence",
    "places_of",
    "prove",
    "units_of",
    "unmoved",
    "with_units",
]
