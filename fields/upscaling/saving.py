"""Pictures written as their names end, with what was known of them and the settings they were made with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from datasets.embedding import PNG_KEYWORD, exif
from datasets.files import atomic_path, sync
from datasets.settings import settings_beside, settings_text
from errors import InputError
from fields.upscaling.pictures import Header, Picture
from fields.upscaling.views import View

_NO_LIMIT = 2**31 - 1
_MAX_SIDE = {".jpg": 2**16 - 1, ".jpeg": 2**16 - 1, ".webp": 2**14 - 1}
_NO_ALPHA = (".jpg", ".jpeg", ".bmp")
_HAS_16_BITS = (".png", ".tif", ".tiff")
_MAX_COMMENT = 2**16 - 3  # of a jpg


def _png(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    comment = PngInfo()
    comment.add_text(PNG_KEYWORD, text)
    return {"format": "PNG", "pnginfo": comment, **kept}


def _jpeg(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    comment = {"comment": text} if len(text) <= _MAX_COMMENT else {}
    return {"format": "JPEG", "quality": 95, "subsampling": 0, **comment, **kept}


def _webp(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    kept.pop("dpi", None)  # the format has no place for it but in EXIF
    return {"format": "WEBP", "quality": 95, "method": 4, "exif": exif(text), **kept}


def _tiff(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    return {"format": "TIFF", **kept}  # not compressed: that fails on EXIF


def _bmp(text: str, kept: dict[str, Any]) -> dict[str, Any]:
    return {"format": "BMP", **{name: value for name, value in kept.items() if name == "dpi"}}


# How each format is written: settings as text and what is kept, to arguments for Pillow.
_SAVERS: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".webp": _webp,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".bmp": _bmp,
}
SAVED = tuple(_SAVERS)


def check_format(path: Path, header: Header, size: tuple[int, int]) -> None:
    """Refuses a format that cannot hold the result.

    Args:
        path: Of the result.
        header: Of the source.
        size: Height and width of the result.

    Raises:
        InputError: It cannot; the message says what could.
    """
    suffix = path.suffix.lower()
    if suffix not in SAVED:
        raise InputError(f"out: {path}: pictures are written as {', '.join(SAVED)}: give such a name, or a folder")
    if header.alpha and suffix in _NO_ALPHA:
        raise InputError(f"out: {path}: {suffix[1:]} holds no transparency, which {header.path} has: give a .png")
    if header.depth == 16 and suffix not in _HAS_16_BITS:
        raise InputError(f"out: {path}: {suffix[1:]} holds no 16 bits, which {header.path} has: give a .png")
    limit = _MAX_SIDE.get(suffix, _NO_LIMIT)
    if max(size) > limit:
        raise InputError(
            f"out: {path}: {size[1]}x{size[0]} pixels do not fit into a {suffix[1:]}, {limit} a side do: give a .png"
        )


def write_picture(path: Path, pixels: np.ndarray, picture: Picture, view: View, settings: Mapping[str, Any]) -> None:
    """Writes a result, whole or not at all.

    Args:
        path: Its name, whose end says how; a file there is replaced.
        pixels: The view of the picture's colours, [h, w, C].
        picture: What it was made of.
        view: What it shows; transparency is magnified to it by cubic interpolation.
        settings: Plain values, left inside of the file where its format has a place for them, and as JSON beside it.

    Raises:
        OSError: The disk is full or may not be written to; nothing is left behind.
    """
    how = _SAVERS[path.suffix.lower()](settings_text(path, settings), dict(picture.kept))
    image = _image(pixels, picture, view)
    with blamed_on(path), atomic_path(path) as temporary, settings_beside(path, temporary, settings):
        with temporary.open("xb") as file:
            image.save(file, **how)
        sync(temporary)


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Failures to write name ``path``: the user knows of no temporary name."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _image(pixels: np.ndarray, picture: Picture, view: View) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if picture.alpha is not None:
        size = view.size[1], view.size[0]
        image.putalpha(Image.fromarray(picture.alpha).resize(size, Image.Resampling.BICUBIC, view.box))
    return image
