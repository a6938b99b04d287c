"""What `prepare` writes: a zip of JPEG frames, or raw frames to be mapped into memory, in parts that survive a stop.

Every video is one part, complete or absent. When all parts are there they become the store in one rename.

Shape legend
    F       frames of a video
    H, W    height and width of the store
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from datasets.files import atomic_path, read_json, to_json, write_json
from errors import InputError

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same frames make the same zip


@dataclass(frozen=True)
class Written:
    """One finished video.

    Args:
        num_frames: Its length.
        num_bytes: Size of its frames in the store.
        sha256: Of its frames as they are stored, one after the other.
    """

    num_frames: int
    num_bytes: int
    sha256: str


class Store(ABC):
    """A store in the making; parts lie in ``DST.partial`` until `finish`.

    Args:
        dst: Its final name.
        size: Height and width of its frames.
    """

    def __init__(self, dst: Path, size: tuple[int, int]) -> None:
        self.dst, self.size = dst, size
        self.partial = dst.with_name(f"{dst.name}.partial")

    @abstractmethod
    def part(self, name: str) -> Path:
        """Where the frames of a video lie before the store is finished."""

    @abstractmethod
    def file_names(self, name: str, num_frames: int) -> list[str]:
        """The files of a video inside the store, as a dataset.json refers to them."""

    @abstractmethod
    def _write(self, file: BinaryIO, frames: Iterable[UInt8[np.ndarray, "H W 3"]], num_frames: int) -> Written: ...

    @abstractmethod
    def _join(self, videos: dict[str, Written], documents: dict[str, Any]) -> None: ...

    def begin(self, settings: dict[str, Any]) -> None:
        """Makes ``DST.partial``, or takes up the one there is.

        Raises:
            InputError: It was begun with other settings.
        """
        path = self.partial / "settings.json"
        if path.is_file() and read_json(path) != settings:
            raise InputError(f"{self.partial}: begun with other settings; use those again, or remove it to start anew")
        if not path.is_file():
            write_json(path, settings)

    def finished(self, name: str, origin: str) -> Written | None:
        """What is known of a video that is complete, if it came from ``origin``."""
        path = self._record(name)
        record = read_json(path) if path.is_file() else {}
        if record.pop("origin", None) != origin or not self.part(name).is_file():
            return None
        return Written(**record)

    def write(self, name: str, origin: str, frames: Iterable[UInt8[np.ndarray, "H W 3"]], num_frames: int) -> Written:
        """Writes one video, whole or not at all."""
        with atomic_path(self.part(name)) as temporary, temporary.open("wb") as file:
            written = self._write(file, frames, num_frames)
        write_json(self._record(name), {**asdict(written), "origin": origin})
        return written

    def finish(self, videos: dict[str, Written], documents: dict[str, Any]) -> None:
        """Makes the store out of its parts, adds ``documents`` as JSON files, and removes what is left over."""
        self._join(videos, documents)
        shutil.rmtree(self.partial)

    def _record(self, name: str) -> Path:
        return self.partial / "done" / f"{_digest(name)}.json"


class JpegZip(Store):
    """A zip with a folder of JPEG files for each video: NAME/000000.jpg, ...

    Args:
        dst: Its final name.
        size: Height and width of its frames.
        quality: Of JPEG, 1 to 100.
    """

    def __init__(self, dst: Path, size: tuple[int, int], quality: int) -> None:
        super().__init__(dst, size)
        self.quality = quality

    def part(self, name: str) -> Path:
        return self.partial / "parts" / f"{_digest(name)}.zip"

    def file_names(self, name: str, num_frames: int) -> list[str]:
        return [f"{name}/{index:06d}.jpg" for index in range(num_frames)]

    def _write(self, file: BinaryIO, frames: Iterable[UInt8[np.ndarray, "H W 3"]], num_frames: int) -> Written:
        sha, num_bytes = hashlib.sha256(), 0
        with zipfile.ZipFile(file, "w") as archive:
            for index, frame in enumerate(frames):
                data = io.BytesIO()
                Image.fromarray(frame).save(data, "JPEG", quality=self.quality)
                sha.update(data.getbuffer())
                num_bytes += len(data.getbuffer())
                _add(archive, f"{index:06d}.jpg", data.getvalue())
        return Written(num_frames, num_bytes, sha.hexdigest())

    def _join(self, videos: dict[str, Written], documents: dict[str, Any]) -> None:
        with atomic_path(self.dst) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name in videos:
                with zipfile.ZipFile(self.part(name)) as part:
                    for file in part.namelist():
                        _add(archive, f"{name}/{file}", part.read(file))
            for file, content in documents.items():
                _add(archive, file, to_json(content), zipfile.ZIP_DEFLATED)


class RawFolder(Store):
    """A folder with one file of raw uint8 frames for each video: NAME.npy, of shape [F, 3, H, W]."""

    def part(self, name: str) -> Path:
        return self.partial / "store" / f"{name}.npy"

    def file_names(self, name: str, num_frames: int) -> list[str]:
        return [name]

    def _write(self, file: BinaryIO, frames: Iterable[UInt8[np.ndarray, "H W 3"]], num_frames: int) -> Written:
        sha, num_bytes = hashlib.sha256(), 0
        header = {"descr": "|u1", "fortran_order": False, "shape": (num_frames, 3, *self.size)}
        np.lib.format.write_array_header_1_0(file, header)
        # Plain writes: a full disk raises here, where a memory map would kill the process.
        for frame in frames:
            data = frame.transpose(2, 0, 1).tobytes()
            sha.update(data)
            num_bytes += file.write(data)
        return Written(num_frames, num_bytes, sha.hexdigest())

    def _join(self, videos: dict[str, Written], documents: dict[str, Any]) -> None:
        parts = {self.part(name) for name in videos}
        for stale in set((self.partial / "store").rglob("*")) - parts:  # of videos that are gone, or were cut short
            if not stale.is_dir():
                stale.unlink()
        for file, content in documents.items():
            write_json(self.partial / "store" / file, content)
        os.replace(self.partial / "store", self.dst)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> None:
    info = zipfile.ZipInfo(name, _ZIP_DATE)
    info.compress_type, info.external_attr = method, 0o644 << 16
    archive.writestr(info, data)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24]
