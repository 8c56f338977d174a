"""Runs: spec in, result out, content-addressed; computed by workers, never by the web process.

Importing this package imports no torch.
"""

from engine.runs.events import EventBatch
from engine.runs.files_spec import FilesHeadersSpec, IngestFilesSpec, NamedUpload
from engine.runs.inspect_spec import HeadersSpec, InspectSpec, SelfTestSpec
from engine.runs.local import LocalExecutor
from engine.runs.merge_spec import MergeSpec
from engine.runs.path_spec import PathSpec
from engine.runs.plane_spec import PlaneSpec
from engine.runs.results import Partial, Result, RunStatus
from engine.runs.shelf import CheckpointInfo, Shelf, Sizes, Upload
from engine.runs.spec import (
    CompareSpec,
    DataSpec,
    IngestDataSpec,
    IngestSpec,
    PairSpec,
    Spec,
    canonical_json,
    parse_spec,
    register_spec,
)
from engine.runs.store import Store
from engine.runs.tiles import DiskTiles, TileCache

__all__ = [
    "CheckpointInfo",
    "CompareSpec",
    "DataSpec",
    "DiskTiles",
    "EventBatch",
    "FilesHeadersSpec",
    "HeadersSpec",
    "IngestDataSpec",
    "IngestFilesSpec",
    "IngestSpec",
    "InspectSpec",
    "LocalExecutor",
    "MergeSpec",
    "NamedUpload",
    "PairSpec",
    "Partial",
    "PathSpec",
    "PlaneSpec",
    "Result",
    "RunStatus",
    "SelfTestSpec",
    "Shelf",
    "Sizes",
    "Spec",
    "Store",
    "TileCache",
    "Upload",
    "canonical_json",
    "parse_spec",
    "register_spec",
]
