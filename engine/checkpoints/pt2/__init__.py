"""`.pt2` files of `torch.export.save`, read as data: the zip, the graph and the tensors."""

from engine.checkpoints.pt2.archive import ExportedFile, plan_archive, read_archive
from engine.checkpoints.pt2.content import Architecture, pack_architecture, unpack_architecture
from engine.checkpoints.pt2.graph import BATCH_LINE, Graph, GraphInput
from engine.checkpoints.pt2.operators import SYMBOLIC, aten_operation
from engine.checkpoints.pt2.signature import PARAMETER, Binding
from engine.checkpoints.pt2.steps import Step
from engine.checkpoints.pt2.values import Ref

__all__ = [
    # values
    "Architecture",
    "Binding",
    "ExportedFile",
    "Graph",
    "GraphInput",
    "Ref",
    "Step",
    # names
    "BATCH_LINE",
    "PARAMETER",
    "SYMBOLIC",
    # functions
    "aten_operation",
    "pack_architecture",
    "plan_archive",
    "read_archive",
    "unpack_architecture",
]
