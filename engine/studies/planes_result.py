"""What a plane of another kind ends with, and how it is written to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from engine.checkpoints import write_checkpoint
from engine.symmetry import Permutation

PLANES_VERSION = 1
AXES = ("axis-u.safetensors", "axis-v.safetensors")


@dataclass(frozen=True)
class PlanesResult:
    """A finished plane.

    Args:
        arrays: the grid, its losses and those of the models; `docs/results.md` lists them.
        summary: everything that is one number or a sentence, JSON values only.
        axes: the two directions by name, each as long as the plane's unit; float32.
        permutations: of every model, where they were matched.
        provenance: seconds per stage and where it ran; no part of the answer.
    """

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, Any]
    axes: tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
    permutations: tuple[Permutation, ...]
    provenance: Mapping[str, object]

    def npz_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays with the summary as one JSON string among them."""
        return {**self.arrays, "summary": np.array(json.dumps(self.summary, allow_nan=False))}

    def save(self, folder: str | Path) -> None:
        """Write `result.npz`, `summary.json`, `provenance.json` and the two axes."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "result.npz", **self.npz_arrays())  # type: ignore[arg-type]
        for name, value in (("summary", self.summary), ("provenance", self.provenance)):
            text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        for name, axis in zip(AXES, self.axes, strict=True):
            write_checkpoint(axis, folder / name)
