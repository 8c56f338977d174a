"""A permutation of every group at once.

Direction, stated once and meant everywhere: unit i of the permuted model is unit p[i] of the
original, W_new = W[p].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.errors import SymmetryError


class Permutation(Mapping[str, Tensor]):
    """Group name → int64 vector on the CPU; immutable, every vector a bijection."""

    def __init__(self, vectors: Mapping[str, Tensor]) -> None:
        """Copy and check the vectors.

        Raises:
            SymmetryError: a vector does not hold each of 0 … n−1 once.
        """
        self._vectors = {name: _checked(name, vector) for name, vector in vectors.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._vectors[name].clone()

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutation) or self.keys() != other.keys():
            return False
        return all(torch.equal(self._vectors[name], other._vectors[name]) for name in self)

    __hash__ = None

    def __repr__(self) -> str:
        return f"Permutation({len(self)} groups, {self.moved} units moved)"

    def inverse(self) -> Permutation:
        """Return the permutation that undoes this one."""
        return Permutation({name: torch.argsort(p) for name, p in self._vectors.items()})

    def compose(self, first: Permutation) -> Permutation:
        """Return `first` and then this one: apply(p.compose(q)) is apply(p) after apply(q).

        Raises:
            SymmetryError: the two are not over the same groups.
        """
        if {n: len(v) for n, v in self._vectors.items()} != {
            n: len(v) for n, v in first._vectors.items()
        }:
            raise SymmetryError("permutations of different groups cannot be composed")
        return Permutation({name: first._vectors[name][p] for name, p in self._vectors.items()})

    @property
    def is_identity(self) -> bool:
        """Whether no unit moves."""
        return self.moved == 0

    @property
    def moved(self) -> int:
        """The number of units, over all groups, that change their place."""
        return sum(int((p != torch.arange(len(p))).sum()) for p in self._vectors.values())

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with one int64 vector per group."""
        save_file(self._vectors, str(path), metadata={"format": "basinscope permutation"})

    @classmethod
    def load(cls, path: str | Path) -> Permutation:
        """Read a file that `save` wrote.

        Raises:
            SymmetryError: the file cannot be read, or a vector is no permutation.
        """
        try:
            return cls(load_file(str(path)))
        except (SafetensorError, OSError) as error:
            raise SymmetryError(f"{path} holds no permutation: {error}") from error


def _checked(name: str, vector: Tensor) -> Tensor:
    if vector.dim() != 1 or vector.dtype.is_floating_point or vector.dtype.is_complex:
        raise SymmetryError(
            f"group {name}: a permutation is a vector of integers, "
            f"got {vector.dtype} of shape {list(vector.shape)}"
        )
    vector = vector.detach().to(device="cpu", dtype=torch.int64, copy=True)
    if not torch.equal(vector.sort().values, torch.arange(len(vector))):
        raise SymmetryError(f"group {name}: not each of 0 … {len(vector) - 1} appears once")
    return vector
