"""Whole questions, asked of the parts of the engine."""

from engine.studies.compare import compare
from engine.studies.inspect import Inspection, inspect_header, inspect_network, unread
from engine.studies.options import CompareOptions
from engine.studies.result import CompareResult, json_ready
from engine.studies.self_test import SelfTest, self_test
from engine.studies.tiles import MemoryTiles, Tile, TileCache

__all__ = [
    "CompareOptions",
    "CompareResult",
    "Inspection",
    "MemoryTiles",
    "SelfTest",
    "Tile",
    "TileCache",
    "compare",
    "inspect_header",
    "inspect_network",
    "json_ready",
    "self_test",
    "unread",
]
