"""Sinkhorn's operator: any square matrix to a doubly stochastic one, with its derivative.

S(X) is exp(X / temperature) with rows and columns divided in turn by their sums (Sinkhorn and
Knopp 1967; Mena et al. 2018, arXiv 1802.08665). Its derivative follows from what it ends at, not
from the way there (Eisenberger et al. 2022; Peña et al. 2023, arXiv 2212.12042): nothing of the
way is kept, and the memory does not grow with the iterations. Where the rows and columns do not
sum to one yet, the derivative is only about right.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEAST_EXPONENT = -600.0
"""exp of it is still a number in float64; nothing smaller can be told apart from zero."""


def sinkhorn(x: Tensor, temperature: float = 1.0, iterations: int = 20) -> Tensor:
    """Return a doubly stochastic matrix that is large where x is.

    Args:
        x: [..., n, n], finite.
        temperature: the smaller, the closer to a permutation; above 0.
        iterations: how often rows and columns are divided by their sums.

    Returns:
        [..., n, n]; columns sum to one, rows nearly.
    """
    found = _Sinkhorn.apply(x, temperature, iterations)
    assert isinstance(found, Tensor)
    return found


class _Sinkhorn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, temperature: float, iterations: int) -> Tensor:
        p = scaled(x.double() / temperature, iterations)
        ctx.save_for_backward(p)
        ctx.temperature, ctx.iterations = temperature, iterations
        return p.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        (p,) = ctx.saved_tensors
        found = implicit_slopes(p, slopes[0].double(), ctx.iterations) / ctx.temperature
        return found.to(slopes[0].dtype), None, None


def scaled(exponents: Tensor, iterations: int) -> Tensor:
    """Return exp(exponents) with rows and columns scaled to sum to one, float64 [..., n, n]."""
    k = (exponents - exponents.amax(-1, keepdim=True)).clamp(min=LEAST_EXPONENT).exp()
    columns = torch.ones_like(k[..., :1, :])
    rows = torch.ones_like(k[..., :, :1])
    for _ in range(iterations):
        rows = 1 / (k @ columns.mT)
        columns = 1 / (k.mT @ rows).mT
    return rows * k * columns


def implicit_slopes(p: Tensor, slopes: Tensor, iterations: int) -> Tensor:
    """Return the derivative by the exponents, given that by the doubly stochastic matrix.

    A change dE of the exponents changes P by P∘(dE − α1ᵀ − 1βᵀ) with the α and β that keep all
    sums; the derivative is P∘(G − α1ᵀ − 1βᵀ) with those that make its own sums zero. They are
    found in turn, as the scales of the rows and columns were.

    Args:
        p: [..., n, n].
        slopes: G, [..., n, n].
        iterations: how often α and β are brought up to date.
    """
    weighted = p * slopes
    wanted = weighted.sum(-1, keepdim=True), weighted.sum(-2, keepdim=True)
    sums = p.sum(-1, keepdim=True), p.sum(-2, keepdim=True)
    beta = torch.zeros_like(sums[1])
    alpha = torch.zeros_like(sums[0])
    for _ in range(iterations):
        alpha = (wanted[0] - p @ beta.mT) / sums[0]
        beta = (wanted[1] - (p.mT @ alpha).mT) / sums[1]
    return weighted - p * (alpha + beta)
