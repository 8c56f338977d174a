"""What Inspect asks: of a file's headers, of a stored network, and its self-test.

Registered beside the specs of `engine.runs.spec`; no torch is imported here.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from engine.runs.spec import Options, Seed, Sha256, Spec, register_spec


class InspectSpec(Spec):
    """Say what a stored network is: tensors, groups, graph, and the proof."""

    kind: Literal["inspect"] = "inspect"
    version: Literal[1] = 1
    checkpoint: Sha256
    overrides: Options = Field(default_factory=dict, validate_default=True)


class SelfTestSpec(Spec):
    """Permute a stored network at random and match it back to itself."""

    kind: Literal["self-test"] = "self-test"
    version: Literal[1] = 1
    checkpoint: Sha256
    seed: Seed = 0
    restarts: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    overrides: Options = Field(default_factory=dict, validate_default=True)


class HeadersSpec(Spec):
    """Say what a file's headers show, before the file is read: `upload` or `path`, not both.

    `stamp` is the file's size and time, as in `IngestSpec`.
    """

    lane: ClassVar[str] = "files"
    kind: Literal["headers"] = "headers"
    version: Literal[1] = 1
    upload: Sha256 | None = None
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    stamp: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _one_source(self) -> HeadersSpec:
        if (self.upload is None) == (self.path is None):
            raise ValueError("exactly one of upload and path must be given")
        return self

    @property
    def pinned(self) -> bool:
        """A path without a stamp may mean other bytes tomorrow."""
        return self.upload is not None or self.stamp is not None


for _model in (HeadersSpec, InspectSpec, SelfTestSpec):
    register_spec(_model)
