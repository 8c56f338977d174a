"""What a comparison of methods ends with, and how it is written to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.symmetry import Permutation


@dataclass(frozen=True)
class MethodsResult:
    """A finished comparison of methods.

    Args:
        arrays: `lambdas` [n] and `{test,train}_{loss,loss_se,accuracy,accuracy_se}` [rows, n].
        summary: `methods`, `rows` (in the order of the arrays), `ensemble` and what was compared;
            JSON values only.
        permutations: method → what it found, of B.
        provenance: seconds per stage and per method, and where it ran; no part of the answer.
    """

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, object]
    permutations: Mapping[str, Permutation]
    provenance: Mapping[str, object]

    def save(self, folder: str | Path) -> None:
        """Write `result.npz`, `summary.json`, `provenance.json` and each permutation."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        summary = np.array(json.dumps(self.summary, allow_nan=False))
        np.savez_compressed(folder / "result.npz", **self.arrays, summary=summary)  # type: ignore[arg-type]
        for name, value in (("summary", self.summary), ("provenance", self.provenance)):
            text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        for name, permutation in self.permutations.items():
            permutation.save(folder / permutation_file(name))


def permutation_file(name: str) -> str:
    """Return the name of the file of a method's permutation."""
    return f"permutation-{name}.safetensors"
