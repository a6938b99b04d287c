from __future__ import annotations

import hashlib
import http.client
import http.server
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import weight_files
from errors import InputError
from weight_files import MissingWeights, WeightFile, download, file_sha256, locate, target

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SPEC = WeightFile(
    name="net",
    file="net.pt",
    page="https://example.org/net",
    licence="MIT",
    sha256=SHA256,
    url="https://example.org/files/net.pt",
    about="a network",
)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt"
    path.write_bytes(CONTENT)
    return path


class Answer(http.server.BaseHTTPRequestHandler):
    """Sends `CONTENT` in the way that the path asks for."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if self.path == "/cut" else None])

    def log_message(self, *args: object) -> None:
        """Nothing is written to the terminal."""


@pytest.fixture
def opener() -> Iterator[Callable[[str], http.client.HTTPResponse]]:
    """Opens the last word of a url on a server of this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        yield lambda url: urllib.request.urlopen(f"{address}/{url.rpartition('/')[2]}", timeout=10)
        server.shutdown()
        thread.join()


def at(word: str, **changes: Any) -> WeightFile:
    return replace(SPEC, url=f"https://example.org/{word}", **changes)


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert target(SPEC) == tmp_path / "stylegan_v" / "weights" / "net.pt"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # is to be ignored, says the specification of that variable
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert target(SPEC) == tmp_path / "home" / ".cache" / "stylegan_v" / "weights" / "net.pt"


def test_a_file_is_found_by_its_path_or_in_the_cache_folder(stored: Path) -> None:
    assert locate(SPEC, cache_dir=stored.parent) == locate(SPEC, stored) == weight_files.Located(stored, SHA256)


def test_a_file_of_unknown_hash_is_hashed(stored: Path) -> None:
    assert locate(replace(SPEC, sha256=None), stored).sha256 == SHA256


def test_the_first_digits_of_a_hash_are_compared_where_only_they_are_known(stored: Path) -> None:
    assert locate(replace(SPEC, sha256=SHA256[:8]), stored).sha256 == SHA256
    with pytest.raises(InputError, match="damaged or another file"):
        locate(replace(SPEC, sha256="01234567"), stored)


def test_a_missing_file_is_one_line_with_file_page_and_target(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        locate(SPEC, cache_dir=tmp_path / "cache")

    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in ("net.pt", SPEC.page, str(tmp_path / "cache" / "net.pt")))
    assert not (tmp_path / "cache").exists()


def test_another_file_than_the_published_one_is_refused(stored: Path) -> None:
    stored.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=f"its sha256 is .*, that of net.pt is {SHA256}"):
        locate(SPEC, stored)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        locate(SPEC, tmp_path)


def test_a_hash_is_remembered_until_the_file_changes(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: calls.append(args) or digest(*args))

    assert file_sha256(stored) == file_sha256(stored) == SHA256
    assert len(calls) == 1
    status = stored.stat()
    stored.write_bytes(CONTENT[::-1])
    os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file_sha256(stored) == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert len(calls) == 2


def test_a_file_that_is_too_large_is_not_read(stored: Path) -> None:
    with pytest.raises(InputError, match="256000 bytes, at most 1000 are read"):
        file_sha256(stored, max_bytes=1000)


@pytest.mark.parametrize("changes", [{"sha256": "abc"}, {"sha256": SHA256.upper()}, {"file": "../net.pt"}])
def test_a_wrong_entry_is_our_bug(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="net: "):
        replace(SPEC, **changes)


@pytest.mark.parametrize("word", ["net.pt", "unannounced"])
def test_a_download_arrives_whole(tmp_path: Path, opener: Any, word: str) -> None:
    located = download(at(word), tmp_path / "cache", opener=opener)

    assert located == weight_files.Located(tmp_path / "cache" / "net.pt", SHA256)
    assert located.path.read_bytes() == CONTENT
    assert os.listdir(located.path.parent) == ["net.pt"]


@pytest.mark.parametrize(
    "spec, most, words",
    [
        (at("net.pt", sha256="01234567"), 10**9, "its sha256 is .*, not 01234567"),
        (at("net.pt"), 1000, "announces 256000 bytes, at most 1000"),
        (at("unannounced"), 1000, "sends more than 1000 bytes"),
        (at("cut"), 10**9, "cut off after 1000 of 256000 bytes|cannot be fetched"),
        (at("missing"), 10**9, "cannot be fetched .*404.*: get net.pt from https://example.org/net"),
        (replace(SPEC, url=None), 10**9, "cannot be fetched by a program: get it from https://example.org/net"),
    ],
    ids=["hash", "announced", "sent", "cut", "missing", "person"],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    tmp_path: Path, opener: Any, spec: WeightFile, most: int, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        download(spec, tmp_path, opener=opener, max_bytes=most)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_there_is_not_replaced(stored: Path, opener: Any) -> None:
    with pytest.raises(InputError, match="is there already"):
        download(SPEC, stored.parent, opener=opener)


def test_only_https_is_fetched(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1/net.pt", "file:///etc/passwd", "ftp://127.0.0.1/net.pt"):
        with pytest.raises(InputError, match="only https"):
            download(replace(SPEC, url=url), tmp_path)


def test_a_redirection_is_followed_to_https_only() -> None:
    asked, headers = urllib.request.Request("https://example.org/a"), http.client.HTTPMessage()
    handler = weight_files._HttpsOnly()

    followed = handler.redirect_request(asked, None, 302, "Found", headers, "https://example.org/b")
    assert followed is not None and followed.full_url == "https://example.org/b"
    with pytest.raises(InputError, match="is not https"):
        handler.redirect_request(asked, None, 302, "Found", headers, "http://example.org/b")
