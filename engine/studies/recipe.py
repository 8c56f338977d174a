"""How another process, here or on another machine, makes the Program that this one has.

A Program is not sent: its graph is traced anew from what says the architecture of a checkpoint
(names, shapes and precisions of the tensors, its own graph, its config, the user's options), and
must turn out to be the same by its fingerprint. No weights travel with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from engine.checkpoints import Checkpoint
from engine.errors import RunError
from engine.families import architecture_source, checkpoint_program, recognise_checkpoint
from engine.program import Program
from engine.studies.subject import Subject


@dataclass(frozen=True)
class ProgramRecipe:
    """What a Program is made from; plain values, so that it may be pickled between own processes.

    Attributes:
        tensors: name → (shape, dtype) of the checkpoint that says the architecture.
        names: the names under which the pair holds its tensors.
        sha256, name, format, graph, config: as in that checkpoint.
        overrides: the user's options.
        fingerprint: of the Program that must come out.
    """

    tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]]
    names: tuple[str, ...]
    sha256: str
    name: str
    format: str
    graph: bytes | None
    config: Mapping[str, Any] | None
    overrides: Mapping[str, Any]
    fingerprint: str

    @staticmethod
    def of(subject: Subject, overrides: Mapping[str, Any]) -> ProgramRecipe | None:
        """Return the recipe of a pair's Program; None where a caller gave the Program itself."""
        if subject.recognition is None:
            return None
        source = architecture_source(subject.a, subject.b)
        return ProgramRecipe(
            tensors={name: (tuple(t.shape), t.dtype) for name, t in source.tensors.items()},
            names=tuple(subject.a.tensors),
            sha256=source.sha256,
            name=source.name,
            format=source.format,
            graph=source.graph,
            config=None if source.config is None else dict(source.config),
            overrides=dict(overrides),
            fingerprint=subject.program.fingerprint,
        )

    def make(self) -> Program:
        """Return the Program.

        Raises:
            RunError: another one came out than where the recipe was written.
        """
        # One zero seen at every place: shapes are all that is looked at.
        hollow = {n: torch.zeros((), dtype=d).expand(s) for n, (s, d) in self.tensors.items()}
        source = Checkpoint(
            hollow, self.sha256, self.name, self.format, graph=self.graph, config=self.config
        )
        program = checkpoint_program(source, recognise_checkpoint(source, **self.overrides))
        if source.graph is not None:
            program = program.under_names(self.names)
        if program.fingerprint != self.fingerprint:
            raise RunError(
                f"The architecture of {self.name} came out differently in another process: both "
                "must run the same versions of Basinscope and torch."
            )
        return program
