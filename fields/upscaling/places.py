"""Which files are upscaled, and where the results go: what is complete is skipped, what is something else stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from natsort import natsorted

from errors import InputError
from fields.upscaling import pictures, saving, videos


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in videos.SUFFIXES


def find_sources(path: Path) -> list[Path]:
    """The files that ``path`` means: itself, or of a folder its pictures and videos, in natural order.

    Raises:
        InputError: There are none.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder: give a picture, a video, or a folder of them")
    if not path.is_dir():
        return [path]
    known = {*pictures.SUFFIXES, *videos.SUFFIXES}
    found = [one for one in path.iterdir() if one.is_file() and one.suffix.lower() in known and one.name[0] != "."]
    if not found:
        raise InputError(f"{path}: holds neither pictures nor videos: give another folder")
    return natsorted(found, key=lambda one: one.name)


def find_places(sources: Sequence[Path], out: Path, *, one_file: bool) -> list[Path]:
    """Where the results of the sources go, each its own place.

    Args:
        sources: The files.
        out: A folder; or a file, for the only source.
        one_file: Whether the source was given as a file, not as a folder of files.

    Raises:
        InputError: The result would take the place of a source, two of them the same place, or a folder a file's.
    """
    as_file = out.suffix.lower() in (*saving.SAVED, *videos.SAVED) and not out.is_dir()
    if as_file and not one_file:
        raise InputError(f"out: {out}: there are several files to make: give a folder")
    if not as_file and out.exists() and not out.is_dir():
        raise InputError(f"out: {out}: is a file that nothing can be written to: give a folder, or a name like a.png")
    places = [out] if as_file else [out / _name(source) for source in sources]
    taken: dict[Path, Path] = {}
    for source, place in zip(sources, places, strict=True):
        if place.resolve() in {one.resolve() for one in sources}:
            raise InputError(f"out: {place}: is what shall be upscaled: give another folder or name")
        if place in taken:
            raise InputError(f"out: {place}: would be made of {taken[place].name} and of {source.name}: rename one")
        taken[place] = source
    return places


def _name(source: Path) -> str:
    """The source's name, with an end under which results are written."""
    saved, other = (videos.SAVED, ".mp4") if is_video(source) else (saving.SAVED, ".png")
    return source.name if source.suffix.lower() in saved else f"{source.stem}{other}"


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """Makes the folders that a file needs, and removes those of them that are still empty when the body fails."""
    missing = [one for one in path.parents if not one.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
