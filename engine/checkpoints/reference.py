"""`org/name[@revision][:file]`: how a file on the Hugging Face Hub is named here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.checkpoints.folder import SUFFIXES
from engine.errors import HubError

_REPO = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_PATTERN = re.compile(rf"(?P<repo>{_REPO})(@(?P<revision>[^:\s]+))?(:(?P<file>\S.*))?", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """A repository on the Hub and, where they were given, its revision and file."""

    repo: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{revision}{f':{self.file}' if self.file else ''}"


def parse_reference(text: str) -> Reference:
    """Return the parts of `org/name[@revision][:file]`.

    Raises:
        HubError: The text is no such reference, or its file leads out of the repository.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None or len(text) > 512:
        raise HubError(
            f"{text[:200]!r} names no file on the Hub; write org/name, org/name@revision or "
            "org/name@revision:file"
        )
    reference = Reference(match["repo"], match["revision"], match["file"])
    parts = (reference.file or "x").split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in parts[0]:
        raise HubError(f"{text!r} names a file outside the repository")
    return reference


def may_be_reference(text: str) -> bool:
    """Whether a text that names no file may be meant for the Hub: org/name, not ./name or a/b/c.

    A path to a weight file is no repository, unless a file inside one is named after a colon.
    """
    repo, colon, _ = text.strip().partition(":")
    if repo.count("/") != 1 or repo[0] in "./~" or "\\" in repo:
        return False
    return bool(colon) or not repo.endswith(SUFFIXES)
