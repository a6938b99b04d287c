"""Where pictures go, and the writing of them: what is complete is skipped, what is something else stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from datasets.settings import read_settings
from datasets.video_writer import SUFFIXES, open_writer
from errors import InputError
from generate_options import Options

Save = Callable[[Path, Iterator[Tensor], dict[str, Any]], None]  # writes frames to a path, with settings

_FILES = frozenset({*SUFFIXES, ".png", ".jpg", ".jpeg", ".avi", ".mpg", ".mpeg", ".json"})  # names that mean no folder
_ASIDE = "made_with"  # settings that do not decide what frames show


@dataclass(frozen=True)
class Destination:
    """Where the files of a command go.

    Attributes:
        folder: Of all files.
        suffix: Of files in the folder; empty for folders of png files.
        single: The one file that shows everything, where that was asked for.
    """

    folder: Path
    suffix: str
    single: Path | None = None

    def file(self, name: str) -> Path:
        """The file that was asked for, else the one of this name in the folder."""
        return self.single or self.folder / f"{name}{self.suffix}"


def destination(options: Options, suffixes: Sequence[str] = SUFFIXES, default: str = "mp4") -> Destination:
    """Where the files go that ``options`` ask for.

    Args:
        options: Of the command.
        suffixes: Of files that the command can write; the formats are these, without dot, and png.
        default: The format where none is given.

    Raises:
        InputError: ``out`` is no folder and no file that can be written, or does not suit ``format``.
    """
    out = Path(options.out).expanduser()
    suffix = out.suffix.lower()
    single = suffix in suffixes and not out.is_dir()
    folder = out.parent if single else out
    looks_like_a_file = suffix in _FILES and not out.is_dir()
    if (looks_like_a_file and not single) or (folder.exists() and not folder.is_dir()):
        raise InputError(f"out: {out}: give a folder, or the name of a file that ends in {', '.join(suffixes)}")
    if single and options.format not in (None, suffix[1:]):
        raise InputError(f"format: {out} will be no {options.format} file: give a folder, or leave --format out")
    format = options.format or default
    named = "" if format == "png" and ".png" not in suffixes else f".{format}"
    if named and named not in suffixes:
        known = ", ".join(sorted({"png", *(one[1:] for one in suffixes)}))
        raise InputError(f"format: {format} is nothing that this command writes: give one of {known}")
    return Destination(folder, named, out if single else None)


@dataclass(frozen=True)
class Piece:
    """A file to be made.

    Attributes:
        path: Its name; without suffix, a folder of png files.
        settings: What decides its frames, as plain values, and under ``made_with`` what does not.
        frames: Makes the frames [f, 3, H, W] of the file, a few at a time.
        save: Writes such frames to the path, with the settings.
        num_frames: Frames of the file.
        num_videos: Videos that each of them shows.
    """

    path: Path
    settings: dict[str, Any]
    frames: Callable[[], Iterator[Tensor]]
    save: Save
    num_frames: int
    num_videos: int = 1


def video_saver(fps: float, crf: int | None = None) -> Save:
    """What writes videos or folders of frames; arguments as `open_writer`."""

    def save(path: Path, frames: Iterator[Tensor], settings: dict[str, Any]) -> None:
        with open_writer(path, fps, crf=crf, metadata=settings) as writer:
            for some in frames:
                writer.write(some)

    return save


def produce(pieces: Sequence[Piece], *, overwrite: bool) -> int:
    """Makes all files that are not there yet, with a progress bar; returns how many were skipped as complete.

    Args:
        pieces: The files.
        overwrite: Whether files that are something else are replaced.

    Raises:
        InputError: A file is there that was made with other settings; nothing is made then.
    """
    missing = [piece for piece in pieces if not is_complete(piece)]
    for piece in missing:
        _check_place(piece, overwrite=overwrite)
    total = sum(piece.num_frames * piece.num_videos for piece in missing)
    with tqdm(total=total, unit="frame", disable=None) as progress:
        for piece in missing:
            _make_folder(piece.path.parent)
            if piece.path.is_dir():
                shutil.rmtree(piece.path)
            piece.save(piece.path, _counted(piece, progress), piece.settings)
    return len(pieces) - len(missing)


def is_complete(piece: Piece) -> bool:
    """Whether the file is there, which means that it is whole, and was made with the same settings."""
    return piece.path.exists() and _deciding(_settings_of(piece.path)) == _deciding(piece.settings)


def report(pieces: Sequence[Piece], skipped: int, what: str) -> None:
    """Says where the files are and what they are."""
    where = str(pieces[0].path) if len(pieces) == 1 else f"{len(pieces)} files in {pieces[0].path.parent}"
    there = "complete already" if skipped == len(pieces) else f"{skipped} of them complete already"
    print(f"{where}: {what}" + (f" ({there})" if skipped else ""))


def _check_place(piece: Piece, *, overwrite: bool) -> None:
    """Refuses to put a file where something else is."""
    path = piece.path
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    there, asked = _deciding(_settings_of(path)), _deciding(piece.settings)
    if path.is_dir() and not there:
        raise InputError(f"out: {path}: is a folder of something else: choose another --out, or remove it")
    if not overwrite:
        key = next((key for key in {**asked, **there} if there.get(key) != asked.get(key)), "command")
        how = f"made with another {key}" if there else "and does not say how it was made"
        raise InputError(f"out: {path}: is there already, {how}: --overwrite replaces it, another --out keeps it")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # no folder above it can be made either
        raise InputError(f"out: {folder}: no folder can be made there: choose another") from error


def _settings_of(path: Path) -> dict[str, Any]:
    """What a file says of itself; nothing, if it is not one of ours."""
    try:
        return read_settings(path)
    except InputError:
        return {}


def _deciding(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are read back, without those that do not decide what frames show."""
    return json.loads(json.dumps({key: value for key, value in settings.items() if key != _ASIDE}))


def _counted(piece: Piece, progress: tqdm) -> Iterator[Tensor]:
    for frames in piece.frames():
        yield frames
        progress.update(len(frames) * piece.num_videos)
