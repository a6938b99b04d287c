"""A model hub on this machine: repositories are folders, and what is asked for is written down."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Answers(BaseHTTPRequestHandler):
    """Answers as the hub does, as far as a download needs it."""

    folder: Path  # user/name below it is a repository
    fetched: list[str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._describe(self.folder / parts[2] / parts[3], parts[4:])
        else:
            self._file(Path(*parts[:2]), parts[4:])

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def _describe(self, repository: Path, what: list[str]) -> None:
        if repository.name == "gated":
            self._refuse(403, "GatedRepo")
        elif not repository.is_dir():
            self._refuse(401, "RepoNotFound")
        elif what[0] == "revision" and what[1] != "main":
            self._refuse(404, "RevisionNotFound")
        elif what[0] == "revision":
            self._answer(json.dumps({"id": "/".join(repository.parts[-2:]), "sha": COMMIT, "siblings": []}).encode())
        else:
            files = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": p.name} for p in repository.iterdir()
            ]
            self._answer(json.dumps(files).encode())

    def _file(self, repository: Path, name: list[str]) -> None:
        path = self.folder.joinpath(repository, *name)
        if not path.is_file():
            self._refuse(404, "EntryNotFound")
        else:
            if self.command == "GET":
                self.fetched.append(str(path.relative_to(self.folder)))
            self._answer(path.read_bytes())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def fake_hub(folder: Path) -> Iterator[list[str]]:
    """Serves ``folder`` in the place of the hub; gives the list of what was fetched."""
    fetched: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"folder": folder, "fetched": fetched}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with hub_at(f"http://127.0.0.1:{server.server_port}"):
            yield fetched
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def hub_at(endpoint: str) -> Iterator[None]:
    """Another address of the hub."""
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    with mock.patch.object(constants, "ENDPOINT", endpoint):
        with mock.patch.object(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template):
            yield
