"""Pictures read for upscaling: upright, as grey or colour and perhaps transparency, with what else is known of them."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps

from errors import InputError
from fields.upscaling.frames import Pixels

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".gif", ".avif", ".jp2")
# Formats that Pillow decodes by itself; for others it starts programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "AVIF", "JPEG2000")
_GREY, _COLOUR = ("1", "L", "LA", "La"), ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")
_GREY_16 = ("I;16", "I;16B", "I;16L")
_PPM_LEVELS = range(2**8, 2**16)  # largest values of pixels with two bytes
_ON_ITS_SIDE = 5  # orientations from here on change height and width
# A TIFF file keeps its layout in the same directory as what is known of the picture.
_OF_PICTURES = {
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software),
    *(ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.HostComputer, ExifTags.Base.Copyright),
    *(ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo),
}


@dataclass(frozen=True)
class Header:
    """What a picture is, before its pixels are looked at.

    Attributes:
        path: The file.
        size: Height and width, upright.
        channels: 1 for grey, 3 for colour.
        alpha: Whether parts of it are transparent.
        depth: Bits of each channel, 8 or 16.
    """

    path: Path
    size: tuple[int, int]
    channels: int
    alpha: bool
    depth: int

    @property
    def bytes_per_pixel(self) -> int:
        """Of the picture in memory."""
        return (self.channels + self.alpha) * self.depth // 8


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: Grey or colour.
        alpha: 0 where nothing shows, 255 where nothing shows through; None: it has none.
        kept: What Pillow is to save with it: ``icc_profile``, ``exif``, ``xmp``, ``dpi``.
    """

    pixels: Pixels
    alpha: UInt8[np.ndarray, "H W"] | None
    kept: dict[str, Any] = field(repr=False)


def read_header(path: Path) -> Header:
    """What a picture is.

    Raises:
        InputError: It is no picture, or of a kind that would lose something here.
    """
    with _opened(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
        width, height = image.size
        size = (width, height) if isinstance(turned, int) and turned >= _ON_ITS_SIDE else (height, width)
        depth = 16 if image.mode in _GREY_16 else 8
        channels = 1 if image.mode in (*_GREY, *_GREY_16) else 3
        return Header(path, size, channels, image.has_transparency_data, depth)


def read_picture(path: Path, size: tuple[int, int]) -> Picture:
    """A picture, turned upright as its metadata ask.

    Args:
        path: The file.
        size: Height and width of the result, which the metadata are to state.

    Raises:
        InputError: It is damaged, or no longer what its header said.
    """
    with _opened(path) as image:
        exif = _exif(image, size, path)
    with _opened(path) as image:  # another time, as what was left out of the EXIF says which side is up
        image.load()
        upright = ImageOps.exif_transpose(image)
        kept = _kept(upright, exif)
        # Palettes, single bits and premultiplied colours become plain ones.
        grey, alpha = upright.mode in _GREY, upright.has_transparency_data
        if upright.mode in _GREY_16:
            pixels = np.array(upright, dtype=np.uint16)[..., None]
            return Picture(pixels, None, kept)
        plain = upright.convert("RGBA" if alpha else "L" if grey else "RGB")
        channels = np.array(plain) if plain.mode != "L" else np.array(plain)[..., None]
        colours = channels[..., :1] if grey else channels[..., :3]
        return Picture(colours, channels[..., 3] if alpha else None, kept)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture of a kind that can be used, and whatever is wrong with it in one line."""
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a picture, a video, or a folder of them")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty: give another file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size: memory is estimated elsewhere; of EXIF: see `_exif`
            with Image.open(path, formats=_FORMATS) as image:
                _check_kind(image, path)
                yield image
    except (InputError, MemoryError):
        raise
    except PermissionError:
        raise
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path}: is no picture of a format that is known here: give another file") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: has more pixels than Pillow opens: cut it into parts") from error
    except Exception as error:  # readers of damaged files raise whatever they like
        raise InputError(f"{path}: is damaged ({error}): give the whole file") from error


def _check_kind(image: Image.Image, path: Path) -> None:
    if 0 in image.size:
        raise InputError(f"{path}: has no pixels ({image.width}x{image.height}): give another picture")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # which has previews behind the picture
        raise InputError(f"{path}: holds {image.n_frames} pictures: give one picture, or make it a video")
    if image.mode in _GREY_16:
        if image.has_transparency_data:
            raise InputError(f"{path}: has 16 bits per channel and transparency: make it one with 8 bits")
    elif image.mode not in (*_GREY, *_COLOUR):
        raise InputError(f"{path}: has pixels of kind {image.mode}: make it a picture in RGB or grey, of 8 bits")
    elif _is_deeper(image):
        raise InputError(f"{path}: has 16 bits per colour, of which 8 would be lost: make it one with 8 bits")


def _is_deeper(image: Image.Image) -> bool:
    """Whether Pillow would silently leave out half of the bits."""
    told = [one for tile in image.tile for one in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    return any(
        (isinstance(one, str) and ";16" in one) or (image.format == "PPM" and one in _PPM_LEVELS) for one in told
    )


def _kept(image: Image.Image, exif: bytes) -> dict[str, Any]:
    found = {name: image.info.get(name) for name in ("icc_profile", "xmp")}
    found |= {"dpi": _dpi(image.info.get("dpi")), "exif": exif}
    return {name: value for name, value in found.items() if value}


def _dpi(found: Any) -> tuple[float, float] | None:
    try:
        across, down = map(float, found)
    except (TypeError, ValueError, ZeroDivisionError):  # none, or not two numbers
        return None
    return (across, down) if all(math.isfinite(one) and one > 0 for one in (across, down)) else None


def _exif(image: Image.Image, size: tuple[int, int], path: Path) -> bytes:
    """What is known of the picture, with the size that the result has; empty, if nothing is."""
    try:
        with warnings.catch_warnings(action="error"):  # what Pillow only warns of would be left out in part
            return _exif_bytes(image, size)
    except Exception as error:  # what cameras and programs write there is of all kinds
        logger.warning("%s: its EXIF is damaged (%s) and left out; the picture is not", path, error)
        return b""


def _exif_bytes(image: Image.Image, size: tuple[int, int]) -> bytes:
    exif, written = image.getexif(), image.info.get("exif")
    if written:  # opening has read it and told nobody
        exif = Image.Exif()
        exif.load(written)
    unwanted = set(exif) - _OF_PICTURES if image.format == "TIFF" else set(exif) & {ExifTags.Base.Orientation}
    for tag in unwanted:
        del exif[tag]
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, side in ((ExifTags.Base.ExifImageWidth, size[1]), (ExifTags.Base.ExifImageHeight, size[0])):
        if tag in inner:
            inner[tag] = side
    return exif.tobytes() if len(exif) else b""
