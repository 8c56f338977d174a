"""Dynamic sizes as integers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from engine.symmetry.sizes import FIRST_PRIME, Sizes, UnsizedError


class Shapes(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.flatten(), torch.cat([x, x[:1]]), x[: x.shape[0] // 2]


@pytest.fixture(scope="module")
def traced() -> list[Tensor]:
    exported = export(
        Shapes(), (torch.zeros(4, 7),), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False
    )
    output = next(node for node in exported.graph.nodes if node.op == "output")
    return [node.meta["val"] for node in output.args[0]]


def test_the_batch_is_a_large_prime_and_products_divide_like_it(traced):
    sizes = Sizes()
    (flat,) = sizes.shape(traced[0])
    batch = flat // 7
    assert flat == 7 * batch
    assert batch > FIRST_PRIME
    assert sizes.shape(traced[1]) == (batch + 1, 7)


def test_a_size_that_is_no_polynomial_is_refused_or_opaque(traced):
    sizes = Sizes()
    with pytest.raises(UnsizedError):
        sizes.shape(traced[2])
    opaque = sizes.shape_or_opaque(traced[2])
    assert opaque[1] == 7
    assert opaque == sizes.shape_or_opaque(traced[2])


def test_plain_sizes_are_themselves():
    assert Sizes().shape(torch.zeros(2, 0, 5)) == (2, 0, 5)
