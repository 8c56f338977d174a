"""What a path ends with, and how it is written to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from engine.checkpoints import stated_metadata, write_checkpoint
from engine.studies.merge_files import SUFFIXES, write_like
from engine.studies.path_matching import Matched
from engine.studies.subject import Subject

PATH_VERSION = 1


@dataclass(frozen=True)
class PathResult:
    """Finished curves from A to B, to π(B), or to both.

    Args:
        arrays: losses and accuracies of lines and curves, planes, trainings; `docs/paths.md`.
        summary: everything that is one number or a sentence, JSON values only.
        bends: end → its trained bends in order, with all of A's tensors in A's precision.
        matched: π and π(B); None where no curve leads there.
        provenance: seconds per stage and where it ran; no part of the answer.
        format: of A's file; bends are written in it.
        stated: what the files state of themselves that tensors do not show; so do the bends.
    """

    arrays: Mapping[str, np.ndarray]
    summary: Mapping[str, Any]
    bends: Mapping[str, tuple[Mapping[str, Tensor], ...]]
    matched: Matched | None
    provenance: Mapping[str, object]
    format: str = "safetensors"
    stated: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the files of bends and of π(B)."""
        return stated_metadata(self.stated)

    def bend_files(self) -> dict[str, Mapping[str, Tensor]]:
        """Return name of a file → the bend that it holds."""
        suffix = SUFFIXES.get(self.format, ".safetensors")
        return {
            f"bend-{end}-{number}{suffix}": bend
            for end, bends in self.bends.items()
            for number, bend in enumerate(bends, start=1)
        }

    def save(self, folder: str | Path) -> None:
        """Write `result.npz`, `summary.json`, `provenance.json`, the bends, and π(B) with π.

        Raises:
            CheckpointError: A's format does not know the dtype of a tensor.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        summary = np.array(json.dumps(self.summary, allow_nan=False))
        np.savez_compressed(folder / "result.npz", **self.arrays, summary=summary)  # type: ignore[arg-type]
        for name, value in (("summary", self.summary), ("provenance", self.provenance)):
            text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        for name, bend in self.bend_files().items():
            write_like(bend, folder / name, self.metadata)
        if self.matched is not None:
            self.matched.permutation.save(folder / "permutation.safetensors")
            write_checkpoint(self.matched.pi_b, folder / "pi_b.safetensors", self.metadata)


def as_checkpoint(bend: Mapping[str, Tensor], subject: Subject) -> dict[str, Tensor]:
    """Return a bend with every tensor of A's checkpoint, in A's precision.

    Tied weights have every name that A gives them; what is no part of the Program is A's.
    """
    aliases = subject.program.aliases
    return {
        name: bend.get(aliases.get(name, name), tensor).to(tensor.dtype).clone()
        for name, tensor in subject.a.tensors.items()
    }
