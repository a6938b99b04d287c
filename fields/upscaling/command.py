"""What ``generate.py upscale`` does: everything that can be refused is, before anything is computed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets.settings import is_complete
from errors import InputError
from fields.upscaling import pictures, videos
from fields.upscaling.frames import Advance, enlarge
from fields.upscaling.memory import check_result, choose_cut
from fields.upscaling.models import Model, open_model
from fields.upscaling.pictures import read_picture
from fields.upscaling.places import find_places, find_sources, folder_for, is_video
from fields.upscaling.saving import check_format, write_picture
from fields.upscaling.tiling import Cut
from fields.upscaling.videos import MULTIPLE, choose_quality, write_video
from fields.upscaling.views import Target, View, parse_target


@dataclass(frozen=True)
class How:
    """How all files are upscaled.

    Attributes:
        target: Their size and part.
        crf: Quality of videos; None: as usual.
        tile: Side of a tile; None: as memory allows.
        overlap: Its margin; None: all that features depend on.
    """

    target: Target
    crf: int | None
    tile: int | None
    overlap: int | None


@dataclass(frozen=True)
class Piece:
    """A file to be made.

    Attributes:
        header: Of its source.
        path: Its name.
        view: What it shows of every frame.
        cut: How frames are cut into tiles.
        settings: What decides what it shows, as plain values.
    """

    header: pictures.Header | videos.Header
    path: Path
    view: View
    cut: Cut
    settings: dict[str, Any]

    @property
    def num_pixels(self) -> int:
        """That are computed."""
        height, width = (self.view.not_reduced() if self.view.magnifies else self.view).size
        return height * width * (self.header.num_frames if isinstance(self.header, videos.Header) else 1)


def upscale(source: str, ckpt: str, out: str, how: How, device: str, *, overwrite: bool) -> None:
    """Upscales a picture, a video, or those of a folder.

    Args:
        source: The file or folder.
        ckpt: Whose model.
        out: A folder, or a file for the result of one.
        how: To which size, and in which way.
        device: Where the model computes.
        overwrite: Whether files that are something else are replaced.

    Raises:
        InputError: Something cannot be used; nothing that was there is changed.
    """
    root = Path(source).expanduser()
    sources = find_sources(root)
    places = find_places(sources, Path(out).expanduser(), one_file=not root.is_dir())
    model = open_model(ckpt, device)
    pieces = [_piece(model, one, place, how) for one, place in zip(sources, places, strict=True)]
    missing = [one for one in pieces if not is_complete(one.path, one.settings, overwrite=overwrite)]
    _make_all(model, missing, how)
    _report(pieces, len(pieces) - len(missing))


def plan(
    scale: float | None, size: str | None, zoom: str | None, crf: int | None, tile: int | None, overlap: int | None
) -> How:
    """What flags ask for.

    Raises:
        InputError: What cannot be.
    """
    return How(parse_target(scale, size, zoom), crf, tile, overlap)


def _piece(model: Model, source: Path, place: Path, how: How) -> Piece:
    """A file to be made, if it can be."""
    of_video = is_video(source)
    header = videos.read_header(source) if of_video else pictures.read_header(source)
    view = how.target.view(header.size, MULTIPLE if of_video else 1)
    decides: dict[str, Any] = {}
    if isinstance(header, videos.Header):
        decides["crf"] = choose_quality(place, how.crf)[1]
    else:
        check_format(place, header, view.size)
    check_result(view.not_reduced().size, header.bytes_per_pixel, str(source))
    if how.overlap is not None:  # else tiles equal the whole
        decides |= {"tile": how.tile, "overlap": how.overlap}
    settings = {
        "command": "upscale",
        "checkpoint": {"sha256": model.checkpoint},
        "source": {"name": source.name, "sha256": _hash(source)},
        "size": list(view.size),
        "box": list(view.box),
        **decides,
    }
    return Piece(header, place, view, choose_cut(model.field, view, how.tile, how.overlap), settings)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_all(model: Model, pieces: Sequence[Piece], how: How) -> None:
    """Makes the files, beside a bar over the pixels of all."""
    total = sum(one.num_pixels for one in pieces)
    with tqdm(total=total, unit="px", unit_scale=True, disable=None) as progress:
        for piece in pieces:
            progress.set_description(_shortened(piece.header.path.name))
            with folder_for(piece.path):
                _make(model, piece, how, progress.update)


def _make(model: Model, piece: Piece, how: How, advance: Advance) -> None:
    header, view = piece.header, piece.view
    if isinstance(header, videos.Header):
        convert = partial(enlarge, model, view=view, cut=piece.cut, advance=advance)
        square = how.target.size is not None  # who gives both sides means what is seen
        write_video(header, piece.path, view.size, convert, how.crf, piece.settings, square)
        return
    picture = read_picture(header.path, view.size)
    if picture.pixels.shape[:2] != header.size:
        raise InputError(f"{header.path}: was changed meanwhile: run the command again")
    pixels = enlarge(model, picture.pixels, view, piece.cut, advance)
    write_picture(piece.path, pixels, picture, view, piece.settings)


def _shortened(name: str) -> str:
    width = shutil.get_terminal_size().columns // 3
    return name if len(name) <= width else f"{name[: width - 3]}..."


def _report(pieces: Sequence[Piece], skipped: int) -> None:
    """Says where the files are and what they are."""
    first = pieces[0]
    if len(pieces) == 1:
        (height, width), (new_height, new_width) = first.header.size, first.view.size
        text = f"{first.path}: {width}x{height} -> {new_width}x{new_height} pixels"
    else:
        text = f"{len(pieces)} files in {first.path.parent}"
    there = "complete already" if skipped == len(pieces) else f"{skipped} of them complete already"
    print(text + (f" ({there})" if skipped else ""))
