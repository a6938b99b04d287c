"""python -m datasets.prepare: videos of any size to a store of frames that trains fast."""

from __future__ import annotations

import inspect
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

# Only what the help text needs is imported above; the rest where the work begins.


def prepare(
    src: Path,
    dst: Path,
    resolution: int | str = 256,
    *,
    format: Literal["zip", "raw"] = "zip",
    quality: int = 95,
    crop: Literal["center", "stretch"] = "center",
    filter: Literal["lanczos", "bicubic", "bilinear", "box"] = "lanczos",
    start_frame: int = 0,
    max_frames: int | None = None,
    chunk_frames: int | None = None,
    min_frames: int = 1,
    workers: int | None = None,
) -> dict[str, Any]:
    """Turns videos, or folders or zips of frames, into a store of frames of one size.

    Training on a store is many times faster than on video files. Each video is decoded once; a video that cannot be
    read is left out and listed with the reason in the manifest.json of the store. Ctrl-C stops between two frames, and
    the same command goes on from there; until all is done, everything lies in DST.partial.

    Examples:
      python -m datasets.prepare ~/videos data/videos_256.zip --resolution 256

      python -m datasets.prepare ~/videos data/videos_wide --resolution 144x256 --format raw

      python -m datasets.prepare film.mp4 data/film.zip --start_frame 150 --chunk_frames 512

    Args:
        src: Folder of any depth with video files or folders of frames, a zip of frames, or one video file. Labels are
            taken over: from its dataset.json, and as folder names.
        dst: What to make: a name ending in .zip, or for raw the name of a folder.
        resolution: One number for squares, or HEIGHTxWIDTH.
        format: zip: JPEG files, small. raw: bytes mapped into memory, fastest, eight times as large.
        quality: Of JPEG, 1 to 100.
        crop: center: cut off evenly what is too wide or too high. stretch: keep all of the frame, change its shape.
        filter: For resizing; all of them average over the pixels that become one.
        start_frame: Leave out the frames before this one, of every video.
        max_frames: Take at most this many frames of every video.
        chunk_frames: Cut every video into videos of this length; a rest is left out.
        min_frames: Leave out shorter videos.
        workers: Processes; by default one per core.

    Returns:
        The manifest.
    """
    size = parse_resolution(resolution)
    src, dst = src.expanduser(), dst.expanduser()
    _check_numbers(quality, start_frame, max_frames, chunk_frames, min_frames, workers)
    _check_places(src, dst, format)

    from datasets.index import scan
    from datasets.preparation import Cut, build
    from datasets.stores import JpegZip, RawFolder

    cut = Cut(start_frame, max_frames, chunk_frames, min_frames)
    settings = {"source": src.absolute().name, "format": format, "resolution": list(size), "crop": crop}
    settings |= {"filter": filter, **({"quality": quality} if format == "zip" else {}), **vars(cut)}
    store = JpegZip(dst, size, quality) if format == "zip" else RawFolder(dst, size)
    index = scan(src, random_access=False)
    num_workers = os.cpu_count() or 1 if workers is None else workers
    try:
        return build(index, store, cut, crop=crop, filter=filter, settings=settings, num_workers=num_workers)
    except OSError as error:  # of some part, whose name the user does not know
        raise OSError(error.errno, error.strerror, str(dst)) from error


def parse_resolution(text: int | str) -> tuple[int, int]:
    """Height and width of "256" or "144x256".

    Raises:
        InputError: Neither, or below 4 or above 8192.
    """
    height, _, width = str(text).lower().partition("x")
    if height.isdecimal() and (width.isdecimal() or "x" not in str(text).lower()):
        size = int(height), int(width or height)
        if all(4 <= side <= 8192 for side in size):
            return size
    raise InputError(f"resolution: {text!r} is not possible; give one number, or HEIGHTxWIDTH, from 4 to 8192")


def _check_numbers(
    quality: int,
    start_frame: int,
    max_frames: int | None,
    chunk_frames: int | None,
    min_frames: int,
    workers: int | None,
) -> None:
    if not 1 <= quality <= 100:
        raise InputError(f"quality: {quality} is not between 1 and 100; 95 is hardly to be told from the original")
    if start_frame < 0:
        raise InputError(f"start_frame: {start_frame} is negative; frames count from 0")
    given = {"max_frames": max_frames, "chunk_frames": chunk_frames, "min_frames": min_frames, "workers": workers}
    for key, value in given.items():
        if value is not None and value < 1:
            raise InputError(f"{key}: {value} is less than 1; give at least 1, or leave it out")


def _check_places(src: Path, dst: Path, format: str) -> None:
    if not src.exists():
        raise InputError(f"{src}: no such folder or file; give the folder that holds your videos")
    if (format == "zip") != (dst.suffix.lower() == ".zip"):
        raise InputError(f"{dst}: a name ending in .zip goes with --format zip, and only with it; change one of them")
    if dst.exists():
        raise InputError(f"{dst}: is there already; remove it or choose another name")
    if src.is_dir() and dst.resolve().is_relative_to(src.resolve()):
        raise InputError(f"{dst}: lies inside {src}, and would become part of its own source; choose another place")


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: arguments and help come from `prepare`."""
    description = inspect.getdoc(prepare).partition("\nArgs:")[0]
    with clear_errors("prepare"):
        try:
            manifest = auto_cli(
                prepare,
                args=args,
                parser_class=Parser,
                prog="python -m datasets.prepare",
                description=description,
                formatter_class=_Help,
            )
        except KeyboardInterrupt:
            print("prepare: stopped; run the same command again to go on", file=sys.stderr)
            raise SystemExit(130) from None
    totals = manifest["totals"]
    print(
        f"{totals['videos']} videos, {totals['frames']} frames, {totals['bytes'] / 1e6:.1f} MB; "
        f"{totals['skipped']} skipped (the reasons are in manifest.json)"
    )


if __name__ == "__main__":
    main()
