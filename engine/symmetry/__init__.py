"""Permutation symmetries, derived from a Program's graph and proved on its parameters."""

from engine.symmetry.derive import derive_symmetry
from engine.symmetry.equivalence import Equivalence, equivalence
from engine.symmetry.groups import Group, Occurrence
from engine.symmetry.permutation import Permutation
from engine.symmetry.prove import Proof, prove
from engine.symmetry.report import Report
from engine.symmetry.symmetry import Symmetry

__all__ = [
    "Equivalence",
    "Group",
    "Occurrence",
    "Permutation",
    "Proof",
    "Report",
    "Symmetry",
    "derive_symmetry",
    "equivalence",
    "prove",
]
