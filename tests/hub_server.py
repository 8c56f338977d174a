"""A small Hugging Face Hub on 127.0.0.1, for tests of everything that downloads.

Serves what the real client asks for: `/api/{models|datasets}/{id}[/revision/{rev}]`, `/tree/{rev}`
and `HEAD`/`GET /[datasets/]{id}/resolve/{rev}/{path}` with ETag, X-Repo-Commit, Content-Length
and Range; refusals carry X-Error-Code as the real one's do.

    with HubServer({"org/net": Repo({"model.safetensors": data})}) as hub:
        fetch_checkpoint("org/net", endpoint=hub.url, cache_dir=tmp_path)
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?(?:/.*)?")
_FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repo:
    """One repository; change a field between requests to change what the server says.

    Args:
        files: Content by path.
        kind: "models" or "datasets".
        gated: Refuse all but metadata to those without `token`.
        private: Say that there is no such repository to those without `token`.
        token: The token that opens a gated or private repository.
        truncated: Cut every download off after this many bytes, on each connection.
        announced: Content-Length to claim in answers to HEAD, in place of the true one.
        branches: Commit by branch or tag; `main` is derived from the files.
        status: Answer every request with this status, when set.
    """

    files: Mapping[str, bytes]
    kind: str = "models"
    gated: bool = False
    private: bool = False
    token: str | None = None
    truncated: int | None = None
    announced: int | None = None
    branches: dict[str, str] = field(default_factory=dict)
    status: int | None = None

    @property
    def commit(self) -> str:
        """The sha of `main`: derived from names and contents."""
        digest = hashlib.sha1(usedforsecurity=False)
        for path in sorted(self.files):
            digest.update(path.encode() + b"\0" + self.files[path])
        return digest.hexdigest()

    def resolve(self, revision: str) -> str | None:
        """Return the commit of a revision, or None when there is none."""
        known = {"main": self.commit, **self.branches}
        if revision in known:
            return known[revision]
        return revision if revision in known.values() else None


class HubServer:
    """The server; a context manager. `requests` logs (method, path, headers)."""

    def __init__(self, repos: Mapping[str, Repo]) -> None:
        self.repos = dict(repos)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The address to pass as `endpoint=`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def downloads(self) -> list[str]:
        """Return the paths of all GET requests for files so far."""
        return [
            path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path
        ]

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request. HTTP/1.0: every answer closes its connection, so none is left open."""

    hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, dict(self.headers.items())))
        if api := _API.fullmatch(path):
            repo = self._open(api[1], api[2], metadata=True)
            if repo is not None:
                self._describe(repo, api[2], api[3] == "tree", unquote(api[4] or "main"))
        elif file := _FILE.fullmatch(path):
            repo = self._open("datasets" if file[1] else "models", file[2], metadata=False)
            if repo is not None:
                self._serve(repo, unquote(file[3]), file[4])
        else:
            self._refuse(404, "", "no such page")

    def _open(self, kind: str, name: str, metadata: bool) -> Repo | None:
        """Return the repository, or answer with the refusal that it asks for."""
        repo = self.hub.repos.get(name)
        if repo is not None and repo.status is not None:
            return self._refuse(repo.status, "", "set by the test")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        opened = repo is not None and repo.token is not None and given == repo.token
        if repo is None or repo.kind != kind or (repo.private and not opened):
            return self._refuse(404, "RepoNotFound", "Repository not found")
        if repo.gated and not opened and not metadata:
            return self._refuse(403, "GatedRepo", "Access to this repository is restricted")
        return repo

    def _describe(self, repo: Repo, name: str, tree: bool, revision: str) -> None:
        commit = repo.resolve(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if tree:
            listing = [
                {"type": "file", "oid": _etag(data), "size": len(data), "path": path}
                for path, data in repo.files.items()
            ]
            self._send(json.dumps(listing).encode(), {"Content-Type": "application/json"})
            return
        answer = {
            "id": name,
            "sha": commit,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "disabled": False,
            "tags": [],
            "siblings": [{"rfilename": path} for path in repo.files],
        }
        self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _serve(self, repo: Repo, revision: str, path: str) -> None:
        commit = repo.resolve(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif path not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        else:
            data = repo.files[path]
            headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": commit}
            self._send(data, {**headers, "Accept-Ranges": "bytes"}, repo)

    def _send(self, data: bytes, headers: Mapping[str, str], repo: Repo | None = None) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and repo is not None else 0
        body = data[start:]
        length = len(body)
        if self.command == "HEAD" and repo is not None and repo.announced is not None:
            length = repo.announced
        self.send_response(206 if start else 200)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            cut = None if repo is None else repo.truncated
            self.wfile.write(body[:cut])

    def _refuse(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
