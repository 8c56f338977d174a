"""Every architecture as one pure function with a graph."""

from engine.program.capture import capture
from engine.program.program import Program
from engine.program.pt2 import build_exported, program_of, read_program, save_program
from engine.program.spec import BatchNormSite, BatchStatistics, InputSpec, ParameterSpec

__all__ = [
    "BatchNormSite",
    "BatchStatistics",
    "InputSpec",
    "ParameterSpec",
    "Program",
    "build_exported",
    "capture",
    "program_of",
    "read_program",
    "save_program",
]
