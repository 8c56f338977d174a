"""Tiny networks written as one function of named parameters, for one op at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from engine.program import Program, capture
from engine.symmetry import Proof, Symmetry, derive_symmetry, prove

Shapes = Mapping[str, tuple[int, ...]]


class Tiny(nn.Module):
    """`function(p, x)` with random parameters `p.name` of the given shapes."""

    def __init__(self, function: Callable[..., Tensor], shapes: Shapes, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.function = function
        for name, shape in shapes.items():
            tensor = torch.rand(shape, generator=generator) - 0.4
            if name.startswith("var"):
                self.register_buffer(name, tensor + 0.9)
            else:
                self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, x: Tensor) -> Tensor:
        names = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return self.function(SimpleNamespace(**names), x)


def derived(
    function: Callable[..., Tensor], shapes: Shapes, inputs: tuple[int, ...]
) -> tuple[Symmetry, Proof]:
    """Capture, derive and prove; the proof raises where the symmetry is wrong."""
    module = Tiny(function, shapes)
    program = program_of(module, inputs)
    symmetry = derive_symmetry(program)
    return symmetry, prove(program, symmetry, dict(module.state_dict()))


def program_of(module: nn.Module, inputs: tuple[int, ...]) -> Program:
    """Capture a module for inputs of a shape per sample."""
    generator = torch.Generator().manual_seed(9)
    return capture(module.eval(), torch.randn(2, *inputs, generator=generator))


def sizes(symmetry: Symmetry, prefix: str = "") -> list[int]:
    """Return the sizes of the groups of one part of the network, sorted."""
    return sorted(
        group.size for group in symmetry.groups if group.occurrences[0].parameter.startswith(prefix)
    )
