"""The settings that a video or picture was made with: plain values, inside of the file and as JSON beside it.

Beside a file ``a.mp4`` lies ``a.mp4.json``; a folder of frames holds ``settings.json``. Of the two, the text inside of
the file is believed first: it cannot be parted from the frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets.embedding import EMBEDDING, MAX_TEXT_BYTES, embedded_text
from datasets.files import atomic_path, read_json, sync, to_json
from errors import InputError

SETTINGS = "settings.json"
FIRST_FRAME = "000000.png"

_MAX_BYTES = {".mov": 2**16 - 1}  # the length of a comment has two bytes there


def settings_path(path: str | Path) -> Path:
    """Where the settings of a file, or of a folder of frames (no suffix), lie as JSON."""
    path = Path(path)
    return path / SETTINGS if _is_folder(path) else path.with_name(f"{path.name}.json")


def settings_text(path: Path, settings: Mapping[str, Any]) -> str:
    """Settings as one line of ASCII, which every format can hold.

    Args:
        path: The file that they are for.
        settings: Plain values by name: text, numbers that are finite, booleans, None, and lists and dicts of these.

    Raises:
        InputError: They do not fit.
    """
    text = json.dumps(dict(settings), allow_nan=False)
    limit = _MAX_BYTES.get(path.suffix.lower(), MAX_TEXT_BYTES)
    if len(text) > limit:
        raise InputError(f"{path}: settings of {len(text)} bytes do not fit, {limit} do; shorten lists of values")
    return text


@contextmanager
def settings_beside(path: Path, temporary: Path, settings: Mapping[str, Any] | None) -> Iterator[None]:
    """Leaves the settings as JSON where `settings_path` says, when the body ends well, else as they were before.

    Args:
        path: The final name of the file or folder that the body completes.
        temporary: Its name until then; of a folder, it is there already.
        settings: Plain values; None: there are none, and what described an earlier file of that name goes.
    """
    if _is_folder(path):
        if settings is not None:
            (temporary / SETTINGS).write_bytes(to_json(settings))
        yield
    elif settings is None:
        yield
        settings_path(path).unlink(missing_ok=True)
    else:
        with atomic_path(settings_path(path)) as beside:
            beside.write_bytes(to_json(settings))
            sync(beside)
            yield
            if path.suffix.lower() not in EMBEDDING:
                path.unlink(missing_ok=True)  # whose frames the new settings would describe until it is replaced


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings that a file, or a folder of frames, was made with: from inside of it, else from beside it.

    Args:
        path: What `open_writer` or `write_image` wrote; of unknown origin: nothing in it is trusted or executed.

    Raises:
        InputError: Missing, damaged, or nothing says how it was made.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; give a video, or a folder of frames")
    settings = _settings_inside(path)
    beside = settings_path(path)
    if settings is None and beside.is_file():
        settings = _plain(read_json(beside, 4 * MAX_TEXT_BYTES))
    if settings is None:
        raise InputError(f"{path}: says nothing of its settings, and neither does {beside}; make it again")
    return settings


def written_with(path: str | Path, settings: Mapping[str, Any]) -> bool:
    """Whether a file or folder is there, which means that it is complete, and was made with exactly these settings.

    Args:
        path: As for `open_writer`.
        settings: As for `open_writer`; lists and tuples are the same.
    """
    path = Path(path)
    if not path.exists():
        return False
    wanted = json.loads(settings_text(path, settings))
    try:
        return read_settings(path) == wanted
    except InputError:
        return False  # something else lies there; whoever writes decides whether it may be replaced


def is_complete(path: Path, settings: Mapping[str, Any], *, overwrite: bool, folders: bool = False) -> bool:
    """Whether a result is there already, made with the same settings.

    Args:
        path: Where it belongs.
        settings: As for `written_with`.
        overwrite: Whether a file that was made otherwise may be replaced.
        folders: Whether a folder of frames can be the result; then an empty one is not in the way.

    Raises:
        InputError: Something else is there that may not be replaced.
    """
    there = path.is_dir()
    if (folders or not there) and written_with(path, settings):
        return True
    if there and not (folders and not path.suffix and not any(path.iterdir())):
        raise InputError(f"out: {path}: is a folder that is there already: give another name, or remove it")
    if path.exists() and not there and not overwrite:
        raise InputError(
            f"out: {path}: is there already, {_difference(path, settings)}: --overwrite replaces it, another --out "
            "keeps it"
        )
    return False


def _difference(path: Path, settings: Mapping[str, Any]) -> str:
    """How what is there was made otherwise."""
    try:
        there = read_settings(path)
    except InputError:
        return "and does not say how it was made"
    return f"made with another {next((key for key in settings if there.get(key) != settings[key]), 'command')}"


def _settings_inside(path: Path) -> dict[str, Any] | None:
    """Settings in the file itself, of a folder in its first frame; comments that are something else do not count."""
    path = path / FIRST_FRAME if path.is_dir() else path
    text = embedded_text(path) if path.suffix.lower() in EMBEDDING and path.is_file() else None
    if text is None:
        return None
    try:
        return _plain(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _plain(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _is_folder(path: Path) -> bool:
    return not path.suffix or path.is_dir()
