"""Forwards that call what no reader takes are written with twins that compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.program import read_program, save_program
from engine.program.pt2.written import grouped_product, new_zeros, zeros, zeros_like


class Filled(nn.Module):
    """Memory that nobody has written is filled before it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        first, second = y.new_empty((y.shape[0], 8)), torch.empty_like(y)
        first[:, :4] = y.cos()
        first[:, 4:] = y
        second.copy_(y.sin())
        third = torch.empty(y.shape[0], 2)
        third[:] = 1.0
        return torch.cat([first, second, third], 1)


def test_memory_that_is_filled_is_written_as_zeros(tmp_path):
    module, x = Filled().eval(), torch.randn(3, 3)
    save_program(module, x, tmp_path / "filled.pt2")
    program, params = read_program(tmp_path / "filled.pt2")
    assert torch.equal(program(params, x), module(x))
    called = {str(node.target) for node in program.graph_module.graph.nodes}
    assert not [name for name in called if "empty" in name]


@pytest.mark.parametrize("ends", [[2, 2, 5], [0, 0, 5], [5, 5, 5], [1, 4, 5], [0, 2, 3]])
def test_rows_are_multiplied_by_the_matrix_of_their_expert(ends):
    """Rows behind the last end belong to no expert and stay zero, as in `transformers`."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    expected, start = torch.zeros(5, 2, dtype=torch.float64), 0
    for expert, end in enumerate(ends):
        expected[start:end] = rows[start:end] @ weight[expert]
        start = end
    found = grouped_product(rows, weight, torch.tensor(ends, dtype=torch.int32))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_zeros_have_the_shape_and_precision_that_was_asked_for():
    half = torch.ones(2, 3, dtype=torch.float16)
    assert torch.equal(zeros_like(half), torch.zeros_like(half))
    assert zeros_like(half, dtype=torch.float64, pin_memory=False).dtype == torch.float64
    assert torch.equal(new_zeros(half, [2]), half.new_zeros(2))
    assert torch.equal(zeros([2, 1], pin_memory=False), torch.zeros(2, 1))
    assert zeros([2], dtype=torch.int64).dtype == torch.int64
