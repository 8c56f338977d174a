"""The command line: one file per command over the same engine as the pages."""

from engine.commandline.main import main

__all__ = ["main"]
