"""Programs from and to `.pt2` files."""

from engine.program.pt2.build import build_exported
from engine.program.pt2.read import program_of, read_program
from engine.program.pt2.save import save_program

__all__ = ["build_exported", "program_of", "read_program", "save_program"]
