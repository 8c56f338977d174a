"""What a merge ends with, and how it is written to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.checkpoints import stated_metadata
from engine.studies.merge_files import write_like
from engine.symmetry import Permutation

MERGE_VERSION = 1


@dataclass(frozen=True)
class MergeResult:
    """A finished merge.

    Args:
        summary: the table and everything that is one number or a sentence, JSON values only.
        merged: the merged model, repaired where repairs were asked for, with the names and dtypes
            of the first checkpoint.
        permutations: of every model into the order of the first one.
        provenance: seconds per stage and where it ran; no part of the answer.
        stated: what the files state of themselves that tensors do not show; so does the merged.
    """

    summary: Mapping[str, Any]
    merged: Mapping[str, Tensor]
    permutations: tuple[Permutation, ...]
    provenance: Mapping[str, object]
    stated: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the merged file."""
        return stated_metadata(self.stated)

    def write(self, path: str | Path) -> None:
        """Write the merged checkpoint in the format that the suffix says.

        Raises:
            CheckpointError: another suffix, or a dtype that the format does not know.
        """
        write_like(self.merged, path, self.metadata)

    def save(self, folder: str | Path) -> None:
        """Write `merged.safetensors`, the summary and every permutation."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder / "merged.safetensors")
        text = json.dumps(self.summary, indent=1, allow_nan=False, ensure_ascii=False)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        for number, permutation in enumerate(self.permutations, start=1):
            permutation.save(folder / permutation_file(number))


def permutation_file(number: int) -> str:
    """Return the name of the file with the permutation of a model, numbered from 1."""
    return f"permutation-{number}.safetensors"
