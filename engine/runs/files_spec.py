"""What is asked of several uploads that are one model: weights, whole or in shards, and a config.

Kinds of their own beside `IngestSpec` and `HeadersSpec`, whose ids stay as they are. A name is
part of the question, as an index names its shards. No torch is imported here.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from engine.runs.spec import Options, Part, Sha256, Spec, register_spec

MOST_FILES = 200


def _plain(name: str) -> str:
    if name in (".", "..") or any(sign in name for sign in "/\\") or not name.isprintable():
        raise ValueError("a file's name must be plain, without slashes and control characters")
    if len(name.encode()) > 200:
        raise ValueError("a file's name must take at most 200 bytes")
    return name


class NamedUpload(Part):
    """One stored raw upload and the name that it came with."""

    prefix: ClassVar[str] = "files."
    name: Annotated[str, Field(min_length=1), AfterValidator(_plain)]
    upload: Sha256


def _sorted(files: tuple[NamedUpload, ...]) -> tuple[NamedUpload, ...]:
    names = [file.name for file in files]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"two files are called {double!r}; bring each once")
    return tuple(sorted(files, key=lambda file: file.name))


Files = Annotated[
    tuple[NamedUpload, ...], Field(min_length=1, max_length=MOST_FILES), AfterValidator(_sorted)
]


class IngestFilesSpec(Spec):
    """Turn the uploaded files of one model into a stored checkpoint and recognise it."""

    lane: ClassVar[str] = "files"
    kind: Literal["ingest-files"] = "ingest-files"
    version: Literal[1] = 1
    files: Files
    overrides: Options = Field(default_factory=dict, validate_default=True)


class FilesHeadersSpec(Spec):
    """Say what the headers of the uploaded files of one model show."""

    lane: ClassVar[str] = "files"
    kind: Literal["headers-files"] = "headers-files"
    version: Literal[1] = 1
    files: Files
    overrides: Options = Field(default_factory=dict, validate_default=True)


for _model in (IngestFilesSpec, FilesHeadersSpec):
    register_spec(_model)
