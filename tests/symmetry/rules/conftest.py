"""All cases of one family of rules side by side in one network, traced once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod

import pytest
import torch
from torch import Tensor, nn

from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry
from tests.symmetry.rules.table import CASES, Case
from tests.symmetry.tiny import Tiny


class Side(nn.Module):
    """Networks side by side: each reads its inputs from the front of one vector."""

    def __init__(self, cases: tuple[Case, ...]) -> None:
        super().__init__()
        self.cases = cases
        for index, case in enumerate(cases):
            self.add_module(f"n{index}", Tiny(case.function, case.shapes, seed=index))

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for index, case in enumerate(self.cases):
            part = x[:, : prod(case.inputs)].reshape(-1, *case.inputs)
            outputs.append(self.get_submodule(f"n{index}")(part).flatten(1))
        return torch.cat(outputs, 1)


@dataclass(frozen=True)
class Family:
    """The cases of one file of rules, their common Program and its symmetry."""

    cases: tuple[Case, ...]
    module: nn.Module
    program: Program
    symmetry: Symmetry


@cache
def family_of(name: str) -> Family:
    """Trace and derive all cases of one file of rules."""
    cases = CASES[name]
    module = Side(cases).eval()
    longest = max(prod(case.inputs) for case in cases)
    generator = torch.Generator().manual_seed(3)
    program = capture(module, torch.randn(2, longest, generator=generator))
    return Family(cases, module, program, derive_symmetry(program))


@pytest.fixture
def family() -> Callable[[str], Family]:
    """Give a function from the name of a file of rules to its traced cases."""
    return family_of
