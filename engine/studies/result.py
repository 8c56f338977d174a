"""What a comparison ends with, and how it is written to a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from engine.checkpoints import stated_metadata, write_checkpoint
from engine.symmetry import Permutation

SUMMARY_VERSION = 1


@dataclass(frozen=True)
class CompareResult:
    """A finished comparison.

    Args:
        arrays: curves and planes by name; `docs/results.md` lists them.
        summary: everything that is one number or a sentence, JSON values only.
        permutation: of B.
        pi_b: the permuted B, with all of B's tensors in their own precision.
        midpoint: ½(A + π(B)), BatchNorm statistics reset where the comparison reset them.
        provenance: seconds per stage and where it ran; no part of the answer.
        stated: what the files of A or B state of themselves that tensors do not show; π(B) and
            the midpoint state it too.
    """

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, object]
    permutation: Permutation
    pi_b: Mapping[str, Tensor]
    midpoint: Mapping[str, Tensor]
    provenance: Mapping[str, object]
    stated: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the files of π(B) and of the midpoint."""
        return stated_metadata(self.stated)

    def npz_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays with the summary as one JSON string among them."""
        return {**self.arrays, "summary": np.array(json.dumps(self.summary, allow_nan=False))}

    def save(self, folder: str | Path) -> None:
        """Write `result.npz`, `summary.json`, `provenance.json` and three safetensors files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "result.npz", **self.npz_arrays())  # type: ignore[arg-type]
        for name, value in (("summary", self.summary), ("provenance", self.provenance)):
            text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        self.permutation.save(folder / "permutation.safetensors")
        write_checkpoint(self.pi_b, folder / "pi_b.safetensors", self.metadata)
        write_checkpoint(self.midpoint, folder / "midpoint.safetensors", self.metadata)


def json_ready(value: object) -> object:
    """Return a value for JSON: tuples as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
