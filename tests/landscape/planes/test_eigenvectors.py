from __future__ import annotations

import pytest
import torch

from engine.errors import CancelledError, LandscapeError
from engine.landscape.planes import top_eigenpairs


def symmetric(size: int, seed: int = 0) -> torch.Tensor:
    matrix = torch.randn(
        size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return matrix + matrix.T


@pytest.mark.parametrize("size", [2, 7, 120])
def test_the_largest_eigenvalues_are_those_of_the_dense_matrix(size):
    matrix = symmetric(size)
    seen = []
    found = top_eigenpairs(lambda v: matrix @ v, size, progress=seen.append)
    values, vectors = torch.linalg.eigh(matrix)
    torch.testing.assert_close(found.values, values.flip(0)[:2], rtol=1e-5, atol=0)
    cosines = (found.vectors * vectors.flip(1)[:, :2].T).sum(1).abs()
    assert cosines.tolist() == pytest.approx([1, 1], abs=1e-6)
    residuals = (matrix @ found.vectors.T - found.vectors.T * found.values).norm(dim=0)
    assert found.residuals.tolist() == pytest.approx(residuals.tolist(), abs=1e-9)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(2).double())
    assert seen == list(range(1, found.products + 1))
    signs = found.vectors.gather(1, found.vectors.abs().argmax(1, keepdim=True))
    assert (signs > 0).all()


def test_the_seed_fixes_every_bit():
    matrix = symmetric(60)
    pairs = [top_eigenpairs(lambda v: matrix @ v, 60, seed=seed) for seed in (1, 1)]
    assert torch.equal(pairs[0].vectors, pairs[1].vectors)


def test_float32_vectors_are_enough():
    matrix = symmetric(80).float()
    found = top_eigenpairs(lambda v: matrix @ v.float(), 80, dtype=torch.float32)
    values = torch.linalg.eigvalsh(matrix.double()).flip(0)[:2]
    torch.testing.assert_close(found.values, values, rtol=1e-4, atol=0)


def test_what_does_not_converge_says_so():
    matrix = symmetric(400)
    with pytest.raises(LandscapeError, match=r"did not converge in \d+ products .*are settled"):
        top_eigenpairs(lambda v: matrix @ v, 400, most_products=21, tolerance=1e-8)
    noise = torch.Generator().manual_seed(0)

    def noisy(v):
        return matrix @ v + torch.randn(400, generator=noise, dtype=torch.float64)

    with pytest.raises(LandscapeError, match="did not converge"):
        top_eigenpairs(noisy, 400, tolerance=1e-4)


def test_nothing_to_look_for():
    with pytest.raises(LandscapeError, match="at least 2 trained parameters; there is 1"):
        top_eigenpairs(lambda v: v, 1)


@pytest.mark.parametrize("size", [5, 100])
def test_a_zero_operator_is_told(size):
    with pytest.raises(LandscapeError, match="Hessian of the loss is zero"):
        top_eigenpairs(lambda v: 0 * v, size)


def test_a_cancel_comes_through_the_solver():
    def cancelled(v):
        raise CancelledError("enough")

    with pytest.raises(CancelledError, match="enough"):
        top_eigenpairs(cancelled, 100)
