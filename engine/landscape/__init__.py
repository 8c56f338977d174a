"""Loss landscapes: spans of models, points on them, their losses, barriers and basins."""

from engine.landscape.barrier import Barrier, barrier
from engine.landscape.basins import Basins, basins, default_threshold
from engine.landscape.checks import PlaneChecks, check_plane
from engine.landscape.evaluator import Samples, evaluate, evaluate_model
from engine.landscape.geometry import geometry_names
from engine.landscape.line import line
from engine.landscape.memory import MEMORY_BOUND, activation_bytes, choose_batch_size
from engine.landscape.plan import Plan, Runner, Task, plain
from engine.landscape.plane import Plane, make_plane
from engine.landscape.span import PointBuffer, Span
from engine.landscape.statistics import ResetData, reset_statistics
from engine.landscape.tally import Tally

__all__ = [
    "MEMORY_BOUND",
    "Barrier",
    "Basins",
    "Plan",
    "Plane",
    "PlaneChecks",
    "PointBuffer",
    "ResetData",
    "Runner",
    "Samples",
    "Span",
    "Tally",
    "Task",
    "activation_bytes",
    "barrier",
    "basins",
    "check_plane",
    "choose_batch_size",
    "default_threshold",
    "evaluate",
    "evaluate_model",
    "geometry_names",
    "line",
    "make_plane",
    "plain",
    "reset_statistics",
]
