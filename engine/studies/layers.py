"""How far each layer is permuted, and how alike its weights are before and after."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from engine.program import Program
from engine.symmetry import Permutation, Symmetry

Row = dict[str, object]


def layer_table(
    program: Program,
    symmetry: Symmetry,
    permutation: Permutation,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    pi_b: Mapping[str, Tensor],
) -> list[Row]:
    """Return one row per trained parameter, in the model's order.

    Each row has `parameter`, `shape`, `moved` (share of the units on its permuted axes that
    changed place, 0 to 1; None where no permutation reaches it), and cosine similarity and
    Euclidean distance to A, of B (`…_before`) and of π(B) (`…_after`).
    """
    shares: dict[str, list[tuple[int, int]]] = {}
    for group in symmetry.groups:
        moved = permutation.moved_of(group.name)
        for parameter in {occurrence.parameter for occurrence in group.occurrences}:
            shares.setdefault(parameter, []).append((moved, group.size * group.copies))
    rows: list[Row] = []
    for name, spec in program.parameters.items():
        if not spec.trainable:
            continue
        counts = shares.get(name)
        moved = sum(m for m, _ in counts) / sum(n for _, n in counts) if counts else None
        row: Row = {"parameter": name, "shape": list(spec.shape), "moved": moved}
        for when, other in (("before", b), ("after", pi_b)):
            cosine, distance = compare_tensors((a[name],), (other[name],))
            row[f"cosine_{when}"] = cosine
            row[f"distance_{when}"] = distance
        rows.append(row)
    return rows


def compare_tensors(
    first: tuple[Tensor, ...], second: tuple[Tensor, ...]
) -> tuple[float | None, float]:
    """Return cosine similarity (None where one side is zero) and Euclidean distance, float64."""
    dot = square_a = square_b = square_d = 0.0
    for x, y in zip(first, second, strict=True):
        p, q = x.detach().double().flatten(), y.detach().double().flatten()
        dot += float(p @ q)
        square_a += float(p @ p)
        square_b += float(q @ q)
        square_d += float((p - q) @ (p - q))
    scale = (square_a * square_b) ** 0.5
    return (dot / scale if scale > 0 else None), square_d**0.5
