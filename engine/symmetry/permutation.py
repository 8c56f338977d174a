"""A permutation of every group at once.

Direction, stated once and meant everywhere: unit i of the permuted model is unit p[i] of the
original, W_new = W[p]. A nested group has a row per index of the units that it stands under,
counted in the permuted model: unit (h, i) there is unit (p[h], q[h, i]) of the original,
where p is the outer group's vector (the identity where the outer units are fixed).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import SymmetryError


class Permutation(Mapping[str, Tensor]):
    """Group name → int64 vector [size], or matrix [copies, size] where the group is nested.

    Kept on the CPU; immutable, every vector and every row a bijection.
    """

    def __init__(
        self, vectors: Mapping[str, Tensor], within: Mapping[str, str] | None = None
    ) -> None:
        """Copy and check the vectors.

        Args:
            vectors: group name → vector or matrix.
            within: nested group → the group whose units number its rows; a nested group
                that stands under fixed units is not named here.

        Raises:
            SymmetryError: a vector or row does not hold each of 0 … n−1 once, or a nested
                group has not one row per unit of the group that it is within.
        """
        self._vectors = {name: _checked(name, vector) for name, vector in vectors.items()}
        self._within = dict(within or {})
        for inner, outer in self._within.items():
            self._check_nesting(inner, outer)

    def __getitem__(self, name: str) -> Tensor:
        return self._vectors[name].clone()

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutation) or self.keys() != other.keys():
            return False
        return self._within == other._within and all(
            torch.equal(self._vectors[name], other._vectors[name]) for name in self
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"Permutation({len(self)} groups, {self.moved} units moved)"

    @property
    def within(self) -> Mapping[str, str]:
        """Nested group → the group whose units number its rows."""
        return MappingProxyType(self._within)

    def inverse(self) -> Permutation:
        """Return the permutation that undoes this one."""
        undone = {name: torch.argsort(p, dim=-1) for name, p in self._vectors.items()}
        for inner, outer in self._within.items():
            undone[inner] = undone[inner][undone[outer]]
        return Permutation(undone, self._within)

    def compose(self, first: Permutation) -> Permutation:
        """Return `first` and then this one: apply(p.compose(q)) is apply(p) after apply(q).

        Raises:
            SymmetryError: the two are not over the same groups.
        """
        if self._shapes() != first._shapes() or self._within != first._within:
            raise SymmetryError("permutations of different groups cannot be composed")
        both = {}
        for name, p in self._vectors.items():
            before = first._vectors[name]
            if name in self._within:  # the rows of what now stands at each outer index
                before = before[self._vectors[self._within[name]]]
            both[name] = before.gather(-1, p)
        return Permutation(both, self._within)

    @property
    def is_identity(self) -> bool:
        """Whether no unit moves."""
        return self.moved == 0

    @property
    def moved(self) -> int:
        """The number of units, over all groups, that change their place."""
        return sum(self.moved_of(name) for name in self)

    @property
    def units(self) -> int:
        """The number of units over all groups, those of a nested group under each index."""
        return sum(p.numel() for p in self._vectors.values())

    def moved_of(self, name: str) -> int:
        """Return how many units of one group change their place, with what they stand under."""
        p = self._vectors[name]
        moved = p != torch.arange(p.shape[-1])
        if name in self._within:
            outer = self._vectors[self._within[name]]
            moved |= (outer != torch.arange(len(outer)))[:, None]
        return int(moved.sum())

    def alone(self, name: str) -> Permutation:
        """Return this permutation with every group but one left as it is."""
        vectors = {
            other: p if other == name else torch.arange(p.shape[-1]).expand(p.shape)
            for other, p in self._vectors.items()
        }
        return Permutation(vectors, self._within)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with one int64 vector or matrix per group."""
        metadata = {"format": "basinscope permutation"}
        if self._within:
            metadata["within"] = json.dumps(self._within)
        save_file(self._vectors, str(path), metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> Permutation:
        """Read a file that `save` wrote.

        Raises:
            SymmetryError: the file cannot be read, or a vector is no permutation.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                within = json.loads((file.metadata() or {}).get("within", "{}"))
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise SymmetryError(f"{path} holds no permutation: {error}") from error
        if not isinstance(within, dict) or not all(isinstance(v, str) for v in within.values()):
            raise SymmetryError(f"{path} holds no permutation: its nesting cannot be read")
        return cls(vectors, within)

    def _shapes(self) -> dict[str, torch.Size]:
        return {name: p.shape for name, p in self._vectors.items()}

    def _check_nesting(self, inner: str, outer: str) -> None:
        rows, units = self._vectors.get(inner), self._vectors.get(outer)
        if rows is None or rows.dim() != 2:
            raise SymmetryError(f"group {inner}: a nested group has a row per index of {outer}")
        if units is None or units.dim() != 1 or len(units) != len(rows):
            raise SymmetryError(
                f"group {inner}: it has {len(rows)} rows, so {outer} must be a group of as many "
                "units, itself not nested"
            )


def _checked(name: str, vector: Tensor) -> Tensor:
    if vector.dim() not in (1, 2) or vector.dtype.is_floating_point or vector.dtype.is_complex:
        raise SymmetryError(
            f"group {name}: a permutation is a vector of integers, or a matrix of them where it "
            f"is nested; got {vector.dtype} of shape {list(vector.shape)}"
        )
    vector = vector.detach().to(device="cpu", dtype=torch.int64, copy=True).contiguous()
    if not torch.equal(vector.sort(-1).values, torch.arange(vector.shape[-1]).expand(vector.shape)):
        raise SymmetryError(f"group {name}: not each of 0 … {vector.shape[-1] - 1} appears once")
    return vector
