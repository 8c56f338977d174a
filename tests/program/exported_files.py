"""A small valid `.pt2` as torch writes it, and ways to take it apart and put it together."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, export

from tests.checkpoints.files import Attack, members, zip_bytes


class Small(nn.Module):
    """A tied weight, a BatchNorm, a constant, a list of results, a size that is the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.second.weight = self.first.weight
        self.leave = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu_(self.norm(self.enter(x)))
        left, right = hidden.chunk(2, dim=1)
        hidden = torch.cat([right, left], 1).view(x.shape[0], 2, 4).flatten(1)
        scale = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
        hidden = self.second(torch.tanh(self.first(hidden))) * scale
        return self.leave(hidden.masked_fill(hidden > 9, float("-inf")).clamp(-3, 3))


def small(seed: int = 0) -> Small:
    """Return the module with random weights, in eval mode."""
    torch.manual_seed(seed)
    return Small().eval()


def exported_bytes(module: nn.Module, *inputs: Tensor, dynamic: Any = None) -> bytes:
    """Return what torch itself writes for a module, with a batch of any size."""
    shapes = tuple({0: Dim.DYNAMIC} for _ in inputs) if dynamic is None else dynamic
    buffer = io.BytesIO()
    with torch.no_grad():
        torch.export.save(export(module, inputs, dynamic_shapes=shapes), buffer)
    return buffer.getvalue()


@cache
def small_bytes() -> bytes:
    """Return the file of `small()`."""
    return exported_bytes(small(), torch.zeros(2, 6))


@dataclass
class Parts:
    """The members of a `.pt2`, its JSON parsed."""

    members: dict[str, bytes]
    model: dict[str, Any]
    weights: dict[str, Any]
    constants: dict[str, Any]

    @property
    def graph(self) -> dict[str, Any]:
        """The graph."""
        return self.model["graph_module"]["graph"]

    @property
    def signature(self) -> dict[str, Any]:
        """What its inputs and outputs stand for."""
        return self.model["graph_module"]["signature"]

    def node(self, target: str) -> dict[str, Any]:
        """Return the first node that calls an operation."""
        return next(node for node in self.graph["nodes"] if f".{target}." in node["target"])

    def tensor(self, name: str) -> dict[str, Any]:
        """Return how a weight is described."""
        return self.weights["config"][name]["tensor_meta"]


MODEL = "archive/models/model.json"
WEIGHTS = "archive/data/weights/model_weights_config.json"
CONSTANTS = "archive/data/constants/model_constants_config.json"
SAMPLES = "archive/data/sample_inputs/model.pt"


def mutated(change: Callable[[Parts], None], marker: Path) -> bytes:
    """Return the small file after a change; its example inputs are a pickle that would run code.

    Args:
        change: what to do to the parts.
        marker: a file that the pickle would make if anything read it.
    """
    found = members(small_bytes())
    parts = Parts(found, *(json.loads(found[name]) for name in (MODEL, WEIGHTS, CONSTANTS)))
    found[SAMPLES] = pickle.dumps(Attack(open, str(marker), "w"))
    change(parts)
    documents = {MODEL: parts.model, WEIGHTS: parts.weights, CONSTANTS: parts.constants}
    for name, document in documents.items():
        if name in found and found[name] == members(small_bytes())[name]:
            found[name] = json.dumps(document).encode()
    return zip_bytes(found)
