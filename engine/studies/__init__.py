"""Whole questions, asked of the parts of the engine."""

from engine.studies.compare import compare
from engine.studies.options import CompareOptions
from engine.studies.result import CompareResult, json_ready
from engine.studies.tiles import MemoryTiles, Tile, TileCache

__all__ = [
    "CompareOptions",
    "CompareResult",
    "MemoryTiles",
    "Tile",
    "TileCache",
    "compare",
    "json_ready",
]
