"""Weight files of others: which file, from which page, where it lies, and whether it is the one that is meant.

Nothing is fetched unless that is asked for. A file is known by its sha256; where that of the published file is not
known, the one of the user's file is computed, so that every result can say what it was computed with. Every room may
import this file.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from errors import InputError

MAX_BYTES = 16 * 2**30
_CHUNK = 2**20
_TIMEOUT = 60.0  # seconds without a byte
_HEX = re.compile(r"[0-9a-f]{8,64}")
_hashes: dict[tuple[str, int, int], str] = {}  # by path, size and time of change: large files are read once a process


class MissingWeights(InputError):
    """A file of weights is not where it is looked for; the message says where to get it and where to put it."""


@dataclass(frozen=True)
class WeightFile:
    """A file that others publish.

    Attributes:
        name: What it is called here.
        file: Its name in the cache folder.
        page: Where a person finds it.
        licence: Of the file, as far as its page states one.
        sha256: Of the published file, or the digits that it begins with (8 or more); None: not known.
        url: Where a program finds it, https; None: only a person does.
        about: What it is, in a few words.
    """

    name: str
    file: str
    page: str
    licence: str
    sha256: str | None
    url: str | None
    about: str

    def __post_init__(self) -> None:
        if self.sha256 is not None and not _HEX.fullmatch(self.sha256):
            raise ValueError(f"{self.name}: sha256 {self.sha256!r} is not 8 to 64 hexadecimal digits in lower case")
        if Path(self.file).name != self.file:
            raise ValueError(f"{self.name}: {self.file!r} is no plain file name")


@dataclass(frozen=True)
class Located:
    """A file that is there.

    Attributes:
        path: Of the file.
        sha256: 64 hexadecimal digits, computed from its bytes.
    """

    path: Path
    sha256: str


def default_cache_dir() -> Path:
    """Folder of weight files where none is given: ``stylegan_v/weights`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "stylegan_v" / "weights"


def target(spec: WeightFile, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where the file of ``spec`` is looked for when no path is given."""
    return (default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()) / spec.file


def locate(
    spec: WeightFile,
    path: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Located:
    """The file of ``spec`` and its hash.

    Args:
        spec: Which file.
        path: Where it is; None: in the cache folder.
        cache_dir: The cache folder; None: `default_cache_dir`.

    Raises:
        MissingWeights: It is not there.
        InputError: It is another file than the published one, too large, or a folder.
    """
    found = target(spec, cache_dir) if path is None else Path(path).expanduser()
    if found.is_dir():
        raise InputError(f"{found}: is a folder: give the file {spec.file} of {spec.page}")
    if not found.is_file():
        raise MissingWeights(
            f"{spec.name}: no weights at {found}: get {spec.file} from {spec.page} and put it there, "
            "or give the path of a file that you have"
        )
    digest = file_sha256(found)
    if spec.sha256 is not None and not digest.startswith(spec.sha256):
        raise InputError(
            f"{found}: its sha256 is {digest}, that of {spec.file} is {spec.sha256}: a damaged or another file: "
            f"get it again from {spec.page}"
        )
    return Located(found, digest)


def file_sha256(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """The sha256 of a file in hexadecimal digits; remembered in this process while size and time of change stay.

    Args:
        path: An existing file.
        max_bytes: The largest size that is read.

    Raises:
        InputError: It is larger.
    """
    status = path.stat()
    if status.st_size > max_bytes:
        raise InputError(f"{path}: {status.st_size} bytes, at most {max_bytes} are read: give a file of weights")
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if key not in _hashes:
        with open(path, "rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


Opener = Callable[[str], "http.client.HTTPResponse"]


def download(
    spec: WeightFile,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    opener: Opener | None = None,
    max_bytes: int = MAX_BYTES,
) -> Located:
    """Fetches the file of ``spec`` into the cache folder, where it appears whole or not at all.

    Args:
        spec: Which file; it needs a ``url``.
        cache_dir: The cache folder; None: `default_cache_dir`.
        opener: What opens the url; None: https, with redirections that stay https.
        max_bytes: The largest file that is accepted.

    Raises:
        InputError: It has no url, cannot be reached, is too large or cut off, or is not the published file.
    """
    if spec.url is None:
        raise InputError(f"{spec.name}: {spec.file} cannot be fetched by a program: get it from {spec.page}")
    path = target(spec, cache_dir)
    if path.exists():
        raise InputError(f"{path}: is there already: remove it to fetch it again")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            digest = _fetch(spec, opener or _open_https, file, max_bytes)
            file.flush()
            os.fsync(file.fileno())
        if spec.sha256 is not None and not digest.startswith(spec.sha256):
            raise InputError(f"{spec.url}: its sha256 is {digest}, not {spec.sha256}: get it from {spec.page}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return Located(path, digest)


def _fetch(spec: WeightFile, opener: Opener, file: BinaryIO, max_bytes: int) -> str:
    """Copies what the url of ``spec`` gives into ``file``; its sha256."""
    url, digest, count = spec.url or "", hashlib.sha256(), 0
    try:
        with opener(url) as answer:
            announced = _announced(answer.headers.get("Content-Length"))
            if announced is not None and announced > max_bytes:
                raise InputError(f"{url}: announces {announced} bytes, at most {max_bytes} are accepted")
            with tqdm(total=announced, unit="B", unit_scale=True, desc=spec.file, disable=None) as bar:
                while chunk := answer.read(_CHUNK):
                    count += len(chunk)
                    if count > max_bytes:
                        raise InputError(f"{url}: sends more than {max_bytes} bytes, which is no file of weights")
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise InputError(f"{url}: cannot be fetched ({error}): get {spec.file} from {spec.page}") from error
    if announced is not None and count != announced:
        raise InputError(f"{url}: cut off after {count} of {announced} bytes: try again")
    return digest.hexdigest()


def _announced(length: str | None) -> int | None:
    return int(length) if length is not None and length.isascii() and length.isdigit() else None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: object,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise InputError(f"{req.full_url}: leads to {newurl[:80]}, which is not https: not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_https(url: str) -> http.client.HTTPResponse:
    if not url.startswith("https://"):
        raise InputError(f"{url}: only https is fetched")
    return urllib.request.build_opener(_HttpsOnly).open(url, timeout=_TIMEOUT)
