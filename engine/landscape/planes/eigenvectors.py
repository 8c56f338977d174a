"""The eigenvectors of a symmetric operator with the largest eigenvalues, and how good they are.

Lanczos with implicit restarts (ARPACK, through `scipy.sparse.linalg.eigsh`); small operators are
written out and solved densely. Whatever the solver says, the residuals ‖Hv − λv‖ are computed
anew and decide whether the vectors may be called eigenvectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from engine.errors import LandscapeError

DENSE = 40
"""Operators of at most so many dimensions are written out."""
KEPT = 20
"""Lanczos vectors that ARPACK holds at a time."""
PAIR = 2


@dataclass(frozen=True)
class Eigenpairs:
    """The two largest eigenvalues with their vectors.

    Attributes:
        values: descending, float64 [2].
        vectors: orthonormal, float64 [2, n].
        residuals: ‖Hv − λv‖ of each, float64 [2].
        products: how often the operator was applied.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int


def top_eigenpairs(
    operator: Callable[[Tensor], Tensor],
    size: int,
    *,
    seed: int = 0,
    tolerance: float = 1e-3,
    most_products: int = 400,
    dtype: torch.dtype = torch.float64,
    progress: Callable[[int], None] | None = None,
) -> Eigenpairs:
    """Return the eigenvectors of the two largest (algebraic) eigenvalues.

    Args:
        operator: v ↦ H·v, symmetric, for vectors [n].
        size: n, at least 2.
        seed: of the start vector.
        tolerance: largest residual, relative to the largest eigenvalue in size.
        most_products: the most applications of the operator.
        dtype: precision of the solver's vectors.
        progress: called with the number of products so far.

    Raises:
        LandscapeError: fewer than two dimensions, the operator is zero, or the vectors did not
            converge.
    """
    if size < PAIR:
        raise LandscapeError(
            f"A plane of eigenvectors needs at least {PAIR} trained parameters; there is {size}."
        )
    counted = _Counted(operator, progress)
    if size <= DENSE:
        matrix = torch.stack([counted(row) for row in torch.eye(size, dtype=torch.float64)])
        vectors = torch.linalg.eigh((matrix + matrix.T) / 2)[1][:, -PAIR:]
    else:
        vectors = _lanczos(counted, size, seed, tolerance, most_products, dtype)
    found = _ritz(counted, vectors)
    scale = float(found.values.abs().max())
    if scale == 0:
        raise LandscapeError(
            "The Hessian of the loss is zero at this model, so no direction is curved; choose "
            "another kind of plane."
        )
    worst = float(found.residuals.max()) / scale
    if not worst <= max(tolerance, 1e-5):
        raise LandscapeError(
            _unfinished(
                counted.calls,
                f"the residual is {worst:.2g} of the largest eigenvalue, {tolerance:g} is asked",
            )
        )
    return found


class _Counted:
    """The operator, counting how often it is applied."""

    def __init__(
        self, operator: Callable[[Tensor], Tensor], progress: Callable[[int], None] | None
    ) -> None:
        self._operator, self._progress = operator, progress or (lambda calls: None)
        self.calls = 0

    def __call__(self, vector: Tensor) -> Tensor:
        result = self._operator(vector).double()
        self.calls += 1
        self._progress(self.calls)
        return result


class _Matrix(LinearOperator):
    """The operator as scipy knows them."""

    def __init__(self, operator: _Counted, size: int, working: type[np.floating]) -> None:
        super().__init__(working, (size, size))
        self._operator, self._working = operator, working

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(x.reshape(-1).copy())
        return self._operator(vector).numpy().astype(self._working)


def _lanczos(
    operator: _Counted,
    size: int,
    seed: int,
    tolerance: float,
    most_products: int,
    dtype: torch.dtype,
) -> Tensor:
    """Return two approximate eigenvectors as columns [n, 2]."""
    working = np.float64 if dtype == torch.float64 else np.float32
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if not operator(start).any():
        # ARPACK would call its start zero, since it begins with the operator times it.
        return torch.eye(size, PAIR, dtype=torch.float64)
    try:
        _, vectors = eigsh(
            _Matrix(operator, size, working),
            k=PAIR,
            which="LA",
            v0=start.numpy().astype(working),
            ncv=KEPT,
            # ARPACK's own test is of each value by itself; ours is relative to the largest.
            tol=tolerance / 10,  # type: ignore[arg-type]
            maxiter=max(1, (most_products - KEPT) // (KEPT - PAIR)),
        )
    except ArpackNoConvergence as error:
        done = len(error.eigenvalues)
        raise LandscapeError(
            _unfinished(operator.calls, f"{done} of {PAIR} eigenvalues are settled")
        ) from error
    except ArpackError as error:
        raise LandscapeError(_unfinished(operator.calls, str(error))) from error
    return torch.from_numpy(np.ascontiguousarray(vectors)).double()


def _ritz(operator: _Counted, vectors: Tensor) -> Eigenpairs:
    """Return the best eigenpairs within the span of two vectors [n, 2], with their residuals."""
    basis = torch.linalg.qr(vectors)[0]
    images = torch.stack([operator(column) for column in basis.T], dim=1)
    small = basis.T @ images
    values, turned = torch.linalg.eigh((small + small.T) / 2)
    values, turned = values.flip(0), turned.flip(1)
    rotated, images = basis @ turned, images @ turned
    # A sign is chosen once: the largest entry is positive.
    signs = rotated.gather(0, rotated.abs().argmax(0, keepdim=True)).sign()
    return Eigenpairs(
        values=values,
        vectors=(rotated * signs).T.contiguous(),
        residuals=(images - rotated * values).norm(dim=0),
        products=operator.calls,
    )


def _unfinished(products: int, why: str) -> str:
    return (
        f"The top eigenvectors of the Hessian did not converge in {products} products ({why}); "
        f"allow more products or a larger tolerance, or take more samples."
    )
