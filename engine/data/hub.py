"""Parquet files of the named data sets: from the Hub, or from a local mirror of it.

`BASINSCOPE_HUB_MIRROR` names a folder in the Hub's layout,
`<organisation>/<name>/<folder>/<split>-00000-of-00001.parquet`; while it is set nothing else
is asked. On the Hub the revision is resolved to its commit first; commit and file hash are
remembered under `BASINSCOPE_HOME`, so that a set fetched once keeps its exact content and
needs no network again.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from engine.data.catalogue import DatasetInfo
from engine.data.parquet import Progress, file_sha256
from engine.errors import BasinscopeError, DataError
from engine.home import home

MIRROR_VARIABLE = "BASINSCOPE_HUB_MIRROR"


@dataclass(frozen=True)
class Pin:
    """A Hub file that was fetched: its commit and the sha256 of its bytes."""

    revision: str
    sha256: str


def file_name(info: DatasetInfo, split: str) -> str:
    """Return the file's path inside the repository."""
    return f"{info.folder}/{split}-00000-of-00001.parquet"


def find_parquet(
    info: DatasetInfo,
    split: str,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    progress: Progress | None = None,
) -> tuple[Path, str]:
    """Return a split's parquet file on this machine and its sha256, fetching it if needed.

    Args:
        info: the catalogue entry.
        split: one of `info.splits`.
        endpoint: another Hub than the default one.
        token: the user's token; None asks without one.
        progress: called with ("download", bytes done, bytes in all).

    Raises:
        DataError: the mirror has no such file, or the Hub cannot be asked or refuses.
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        path = Path(mirror).expanduser() / info.repo / file_name(info, split)
        if not path.is_file():
            raise DataError(
                f"The mirror has no {info.repo}/{file_name(info, split)}; put the file there, or "
                f"unset {MIRROR_VARIABLE} to fetch it from the Hub."
            )
        return path, file_sha256(path)
    return _fetch(info, split, endpoint=endpoint, token=token, progress=progress)


def pinned(info: DatasetInfo, split: str) -> Pin | None:
    """Return what is remembered of a fetched file, or None; never while a mirror is set."""
    if os.environ.get(MIRROR_VARIABLE):
        return None
    try:
        return Pin(**json.loads(_pin_path(info, split).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _pin_path(info: DatasetInfo, split: str) -> Path:
    return home() / "hub" / "pins" / info.repo / f"{split}.json"


def _fetch(
    info: DatasetInfo,
    split: str,
    *,
    endpoint: str | None,
    token: str | None,
    progress: Progress | None,
) -> tuple[Path, str]:
    known = pinned(info, split)
    try:
        revision = known.revision if known else None
        if revision is None:
            api = HfApi(endpoint=endpoint, token=token or False)
            revision = api.dataset_info(info.repo, timeout=10).sha or "main"
        path = Path(
            hf_hub_download(
                info.repo,
                file_name(info, split),
                repo_type="dataset",
                revision=revision,
                cache_dir=home() / "hub",
                endpoint=endpoint,
                token=token or False,
                tqdm_class=_reporter(progress),
            )
        )
    except BasinscopeError:
        raise  # `progress` may cancel
    except Exception as error:  # the client lets its HTTP library's own errors through
        raise DataError(f"{info.title} {_reason(error, info)} {_way_out(info)}") from error
    sha256 = file_sha256(path)
    if known is None:
        _remember(_pin_path(info, split), Pin(revision, sha256))
    elif known.sha256 != sha256:
        raise DataError(
            f"{info.title}: the file on this machine is not the one that was fetched first; "
            f"delete the folder 'hub' inside BASINSCOPE_HOME to fetch it again."
        )
    return path, sha256


def _remember(path: Path, pin: Pin) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(asdict(pin), file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


# The first class that fits speaks: several of these derive from one another.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (GatedRepoError, "is gated on the Hub ({repo}): accept its terms there and give your token."),
    (RevisionNotFoundError, "is no longer on the Hub at the revision fetched before ({repo})."),
    (RepositoryNotFoundError, "is not on the Hub under {repo}, or is private there."),
    (OfflineModeIsEnabled, "is not on this machine, and the Hub client is set to stay offline."),
    (LocalEntryNotFoundError, "is not on this machine, and the Hub cannot be reached."),
    (EntryNotFoundError, "has no such file on the Hub ({repo})."),
    (HfHubHTTPError, "could not be fetched: the Hub refused or failed."),
    (Exception, "could not be fetched: the Hub cannot be reached ({error})."),
)


def _reason(error: Exception, info: DatasetInfo) -> str:
    text = next(text for kind, text in _REASONS if isinstance(error, kind))
    return text.format(repo=info.repo, error=type(error).__name__)


def _way_out(info: DatasetInfo) -> str:
    builtin = "take 'mnist', which needs no network, or " if info.folder == "mnist" else ""
    return (
        f"Connect to the network once, {builtin}set {MIRROR_VARIABLE} to a folder that holds "
        f"{info.repo}/{info.folder}/…parquet."
    )


def _reporter(progress: Progress | None) -> type[tqdm]:
    """Return a tqdm class that draws nothing and tells `progress` the bytes."""

    class Reporter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # the client's own keyword
            super().__init__(*args, **kwargs | {"disable": False, "file": _Silent()})

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if progress is not None:
                progress("download", int(self.n), int(self.total or 0))
            return shown

    return Reporter


class _Silent:
    """A stream that takes a progress bar's text and drops it."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""
