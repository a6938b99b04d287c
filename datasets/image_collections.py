"""Many images as one object, from files or made on the fly, with small versions of them where there are files of those.

Shape legend
    H, W    height and width of an image; h, w those of its small version
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from datasets.files import atomic_path
from datasets.index import VideoIndex, scan
from datasets.sources import decode_image
from datasets.synthetic_images import FAMILIES, synthetic_image
from errors import InputError

Size = tuple[int, int]

_KEPT_BYTES = 2**28  # of images made on the fly, which are asked for again and again


@runtime_checkable
class ImageCollection(Protocol):
    """Images by number.

    Attributes:
        names: What they are called.
        sizes: Their heights and widths.
        has_small: Whether there are small versions of them.
    """

    names: list[str]
    sizes: list[Size]
    has_small: bool

    def read(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """The pixels of one image.

        Raises:
            OSError: It cannot be decoded.
        """
        ...

    def read_small(self, index: int) -> UInt8[np.ndarray, "h w 3"] | None:
        """Those of its small version, where there is one; raises as `read` does."""
        ...


class MadeImages:
    """Images made on the fly: one of each family in turn.

    Args:
        seeds: Seeds that each family is made from.
        size: Height and width in pixels.
        families: Of `datasets.synthetic_images`.
    """

    has_small = False

    def __init__(self, seeds: Sequence[int], size: Size, families: Sequence[str] = tuple(FAMILIES)) -> None:
        self.seeds, self.size, self.families = seeds, size, tuple(families)
        if not seeds or not families:
            raise InputError("seeds, families: give at least one of each")
        self.names = [f"{family}_{seed}" for seed in seeds for family in families]
        self.sizes = [(size[0], size[1])] * len(self.names)
        self._kept: dict[int, np.ndarray] = {}

    def read(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        if index in self._kept:
            return self._kept[index]
        seed, family = divmod(index, len(self.families))
        image = synthetic_image(self.families[family], self.seeds[seed], self.size)
        if image.nbytes * len(self._kept) < _KEPT_BYTES:
            self._kept[index] = image
        return image

    def read_small(self, index: int) -> None:
        return None


class ImageFiles:
    """The images below a folder, or inside a zip, in natural order.

    Args:
        index: What a scan for images found.
        small: What one found of their small versions, in the same order; None: there are none.
        decoded_dir: Where decoded images are kept, 3 bytes per pixel, and mapped into memory from then on; None:
            every image is decoded whenever it is read.
    """

    def __init__(
        self, index: VideoIndex, small: VideoIndex | None = None, decoded_dir: str | Path | None = None
    ) -> None:
        self.index, self.small, self.has_small = index, small, small is not None
        self.decoded_dir = None if decoded_dir is None else Path(decoded_dir)
        self.names = [image.name for image in index.videos]
        self.sizes = [(image.height, image.width) for image in index.videos]

    @staticmethod
    def below(
        root: str | Path,
        lr_root: str | Path | None = None,
        *,
        cache_dir: str | Path | None = None,
        decoded_dir: str | Path | None = None,
        progress: bool = True,
    ) -> ImageFiles:
        """The images of one folder or zip, with their small versions of another one, paired by name.

        A small version has the name of its image, with or without a scale after it (``0801.png`` and ``0801x4.png``).

        Args:
            root: The folder or zip.
            lr_root: That of the small versions.
            cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
            decoded_dir: As for the class.
            progress: Whether to show a progress bar.

        Raises:
            InputError: No images, or one that has no small version.
        """
        index = scan(root, cache_dir=cache_dir, images=True, progress=progress)
        if lr_root is None:
            return ImageFiles(index, decoded_dir=decoded_dir)
        small = scan(lr_root, cache_dir=cache_dir, images=True, progress=progress)
        return ImageFiles(index, _matched(index, small), decoded_dir)

    def read(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        return self._read(self.index, index)

    def read_small(self, index: int) -> UInt8[np.ndarray, "h w 3"] | None:
        return None if self.small is None else self._read(self.small, index)

    def _read(self, index: VideoIndex, number: int) -> UInt8[np.ndarray, "H W 3"]:
        image = index.open(number)
        if self.decoded_dir is None:
            return decode_image(image.data(0))
        path = self.decoded_dir / f"{_fingerprint(index.root, image.name)}.npy"
        if not path.exists():
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, decode_image(image.data(0)), allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)


def _matched(index: VideoIndex, small: VideoIndex) -> VideoIndex:
    """The small versions in the order of their images."""
    by_name = {re.sub(r"x\d+(\.\d+)?$", "", _stem(image.name)): image for image in small.videos}
    by_name |= {_stem(image.name): image for image in small.videos}
    missing = [image.name for image in index.videos if _stem(image.name) not in by_name]
    if missing:
        raise InputError(
            f"{small.root}: has no small version of {missing[0]} ({len(missing)} are missing); it must have the same "
            "name, with or without a scale after it, such as x4"
        )
    return VideoIndex(small.root, [by_name[_stem(image.name)] for image in index.videos])


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _fingerprint(root: Path, name: str) -> str:
    """Another one for another file, or for the same one after a change."""
    path = Path(name) if root.is_dir() else root
    stat = path.stat()
    return hashlib.sha256(f"{Path(name).absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()[:32]
