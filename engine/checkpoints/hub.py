"""Fetching a checkpoint from the Hugging Face Hub.

A revision is resolved to its commit first, and that commit is what is downloaded and kept in
the checkpoint's origin: the same words give the same weights later. Sizes are compared with
the limits before the download. No login that the machine keeps is ever used: only the token that
is passed in, which whoever starts the process may have set as HF_TOKEN. A config.json of the
repository comes along, and so do all shards of an index.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from engine.checkpoints.admission import reason
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.config_file import CONFIG_NAME, read_config
from engine.checkpoints.folder import (
    INDEX_SUFFIX,
    read_beside,
    read_folder,
    read_sharded,
)
from engine.checkpoints.hub_files import choose_file, listed
from engine.checkpoints.limits import Limits
from engine.checkpoints.read import read_checkpoint
from engine.checkpoints.reference import Reference, may_be_reference, parse_reference
from engine.errors import CheckpointError, HubError, LimitError
from engine.home import home

Progress = Callable[[int, int], None]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_SECONDS = 15.0


def fetch_checkpoint(
    reference: str,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    progress: Progress | None = None,
    cache_dir: str | Path | None = None,
    limits: Limits | None = None,
) -> Checkpoint:
    """Download a checkpoint from the Hub, or take it from the cache, and read it.

    Args:
        reference: `org/name[@revision][:file]`. Without a file, `model.safetensors` is taken,
            else the only weight file there is.
        endpoint: Address of the Hub; the public one unless given.
        token: The user's own token, for private and gated repositories.
        progress: Called with the bytes done and the bytes in all; it may raise to cancel.
        cache_dir: Where downloads are kept; a folder of Basinscope's home unless given.
        limits: The caps; the download is held to `total_bytes`.

    Raises:
        HubError: The reference is malformed, unknown, gated or private, or the Hub cannot be
            reached.
        LimitError: The file is larger than the caps allow; nothing was downloaded.
        CheckpointError: The file is no readable checkpoint.
    """
    wanted = parse_reference(reference)
    limits = limits or Limits()
    cache = str(cache_dir or home() / "hub")
    with _explained(wanted):
        found, path = _from_cache(wanted, cache)
        if path is None:
            found = _resolve(wanted, HfApi(endpoint=endpoint, token=token or False))
            path = _download(found, endpoint, token, progress, cache, limits)
    name = f"{found.repo}:{found.file}"

    def fetch(file: str) -> Path:
        wanted = Reference(found.repo, found.revision, file)
        with _explained(wanted):
            known = _from_cache(wanted, cache)[1]
            return Path(known or _download(wanted, endpoint, token, progress, cache, limits))

    config = _config(found, cache, fetch)
    if str(found.file).endswith(INDEX_SUFFIX):
        locate = partial(_shard, fetch, str(found.file))
        checkpoint = read_sharded(Path(path), found.repo, limits, config, locate)
    else:
        checkpoint = read_checkpoint(path, name=name, limits=limits, config=config)
    origin = {"repo": found.repo, "revision": str(found.revision), "file": str(found.file)}
    return replace(checkpoint, origin=origin)


def load_checkpoint(
    source: str | Path,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    progress: Progress | None = None,
    cache_dir: str | Path | None = None,
    limits: Limits | None = None,
) -> Checkpoint:
    """Read `source`: a file or folder where there is one of that name, else from the Hub.

    Args and errors are those of `read_checkpoint` and `fetch_checkpoint`; without a `token` that
    of the environment is passed on.
    """
    path = Path(source)
    if path.is_dir():
        return read_folder(path, limits=limits)
    if isinstance(source, Path) or path.exists():
        return read_beside(path, limits=limits)
    if not may_be_reference(source):
        raise CheckpointError(f"there is no file {source!r} here")
    try:
        parse_reference(source)
    except HubError as error:
        raise HubError(f"there is no file {source!r} here, and {error}") from error
    return fetch_checkpoint(
        source,
        endpoint=endpoint,
        token=token or environment_token(),
        progress=progress,
        cache_dir=cache_dir,
        limits=limits,
    )


def environment_token() -> str | None:
    """Return the token that HF_TOKEN holds, None where it is not set."""
    return os.environ.get("HF_TOKEN", "").strip() or None


def _from_cache(wanted: Reference, cache: str) -> tuple[Reference, str | None]:
    """Return a file pinned to a commit without asking the Hub, where it is there already."""
    if wanted.file is None or not _COMMIT.fullmatch(wanted.revision or ""):
        return wanted, None
    path = try_to_load_from_cache(wanted.repo, wanted.file, cache, wanted.revision)
    return wanted, path if isinstance(path, str) else None


def _config(found: Reference, cache: str, fetch: Callable[[str], Path]) -> Mapping[str, Any] | None:
    """Return what the config.json beside the weights says, None where there is none."""
    beside = str(PurePosixPath(str(found.file)).with_name(CONFIG_NAME))
    known = try_to_load_from_cache(found.repo, beside, cache, found.revision)
    if known is not None and not isinstance(known, str):
        return None  # the Hub has said before that there is none
    try:
        path = Path(known) if known else fetch(beside)
    except HubError as error:
        if isinstance(error.__cause__, EntryNotFoundError) and not isinstance(
            error.__cause__, LocalEntryNotFoundError
        ):
            return None
        raise
    try:
        return read_config(path)
    except CheckpointError as error:
        raise type(error)(f"{found.repo}: {error}") from error


def _shard(fetch: Callable[[str], Path], index: str, shard: str) -> Path:
    return fetch(str(PurePosixPath(index).with_name(shard)))


def _resolve(wanted: Reference, api: HfApi) -> Reference:
    """Return the reference with its commit and its file filled in."""
    info = api.model_info(wanted.repo, revision=wanted.revision, timeout=_TIMEOUT_SECONDS)
    if not _COMMIT.fullmatch(info.sha or ""):
        raise HubError(f"{wanted}: the Hub names no commit for this revision")
    files = [sibling.rfilename for sibling in info.siblings or ()]
    file = wanted.file or choose_file(wanted, files)
    if file not in files:
        raise HubError(f"{wanted}: the repository has no such file; it has {listed(files)}")
    return Reference(wanted.repo, info.sha, file)


def _download(
    found: Reference,
    endpoint: str | None,
    token: str | None,
    progress: Progress | None,
    cache: str,
    limits: Limits,
) -> str:
    """Return the path of the file in the cache, after its size was found acceptable."""
    options: dict[str, Any] = {
        "revision": found.revision,
        "cache_dir": cache,
        "endpoint": endpoint,
        "token": token or False,
        "etag_timeout": _TIMEOUT_SECONDS,
    }
    announced = hf_hub_download(found.repo, str(found.file), dry_run=True, **options)
    if announced.file_size is None:
        raise HubError(f"{found}: the Hub does not say how large the file is")
    try:
        limits.check_total(announced.file_size, "it takes")
    except LimitError as error:
        raise LimitError(f"{found.repo}:{found.file}: {error}; nothing was downloaded") from error
    bar = _bar(progress, announced.file_size) if progress is not None else _bar(_silent, 0)
    path = hf_hub_download(found.repo, str(found.file), tqdm_class=bar, **options)
    if progress is not None:
        progress(announced.file_size, announced.file_size)
    return path


def _silent(done: int, total: int) -> None:
    del done, total


def _bar(progress: Progress, total: int) -> type[tqdm]:
    """Return a progress bar for the client that draws nothing and calls `progress`."""

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.seen = int(options.get("initial") or 0)
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.seen += int(n or 0)
            progress(self.seen, total)
            return super().update(n)

    return Bar


@contextmanager
def _explained(wanted: Reference) -> Iterator[None]:
    """Turn the client's errors into sentences that say what to do."""
    try:
        yield
    except GatedRepoError as error:  # before RepositoryNotFoundError, which it is a kind of
        raise HubError(
            f"{wanted}: the repository is gated; accept its terms on its page, then set "
            "HF_TOKEN to a token of that account"
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(f"{wanted}: the repository has no revision {wanted.revision!r}") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{wanted}: there is no such repository, or it is private and the token (if any) does "
            "not open it"
        ) from error
    except OfflineModeIsEnabled as error:
        raise HubError(f"{wanted}: HF_HUB_OFFLINE is set, so the Hub is not asked") from error
    except LocalEntryNotFoundError as error:
        raise HubError(f"{wanted}: the Hub cannot be reached ({reason(error)})") from error
    except EntryNotFoundError as error:
        raise HubError(f"{wanted}: the repository has no such file at this revision") from error
    except HFValidationError as error:
        raise HubError(f"{wanted}: no valid name on the Hub ({reason(error)})") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise HubError(
            f"{wanted}: the Hub answered with error {status}; try again later"
        ) from error
    except HTTPError as error:
        raise HubError(f"{wanted}: the Hub cannot be reached ({reason(error)})") from error
    except OSError as error:
        raise HubError(f"{wanted}: the download failed ({reason(error)})") from error
