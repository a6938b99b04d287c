"""Random access to the frames inside a zip, by folder, without unpacking it to disk.

The zip's directory is read once and kept as five numbers per frame: Python's own objects would take half a gigabyte in
every worker for a million frames.
"""

from __future__ import annotations

import functools
import io
import posixpath
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path

from natsort import natsort_keygen

from errors import InputError

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # magic; lengths of the name and the extra field that precede the data
_ENCRYPTED = 0x1
_HUGE = 2**62  # what a broken directory may claim is more than an array of 64 bits holds
_natural = natsort_keygen()


class ZipFrames:
    """An open zip of image files, grouped by the folder they lie in; "." for the top.

    Args:
        path: The zip, with or without entries for its folders.
        is_frame: Whether a file of this name is a frame.

    Raises:
        InputError: Missing, or not a zip.
    """

    def __init__(self, path: Path, is_frame: Callable[[str], bool]) -> None:
        self.path = path
        self.other_files: list[str] = []
        self._folders: dict[str, _Folder] = {}
        for member in _members(path):
            folder, file = posixpath.split(member.filename)
            if member.is_dir() or folder.startswith("__MACOSX"):
                continue
            if is_frame(file):
                self._folders.setdefault(folder or ".", _Folder()).add(file, member)
            else:
                self.other_files.append(member.filename)
        self._file = path.open("rb")

    @property
    def folders(self) -> list[str]:
        """Folders that hold frames."""
        return list(self._folders)

    def num_frames(self, folder: str) -> int:
        """Frames in one folder."""
        return len(self._folder(folder))

    def files(self, folder: str) -> list[str]:
        """Names of the files of the frames of one folder, in the order of the zip, as `read_file` takes them."""
        names = self._folder(folder).names
        return names if folder == "." else [f"{folder}/{name}" for name in names]

    def name(self, folder: str, index: int) -> str:
        """Name of the file of a frame, counted in natural order."""
        return posixpath.normpath(posixpath.join(folder, self._folder(folder).name(index)))

    def read(self, folder: str, index: int, max_bytes: int) -> bytes:
        """Content of the file of a frame, counted in natural order.

        Raises:
            OSError: Larger than ``max_bytes``, encrypted, packed in an unusual way, or damaged.
        """
        return self._content(self._folder(folder).numbers(index), max_bytes)

    def read_file(self, name: str, max_bytes: int) -> bytes:
        """Content of the file of a frame, by its name in the zip; errors as `read`."""
        return self._content(self._numbers(name), max_bytes)

    def open_file(self, name: str, max_bytes: int) -> io.BufferedIOBase:
        """The file of a frame, by its name in the zip, read where it is looked at; not checked for damage.

        Raises:
            OSError: As `read`.
        """
        numbers = offset, packed_size, size, method, _ = self._numbers(name)
        if method == zipfile.ZIP_STORED and size == packed_size:
            return io.BufferedReader(_Part(self._file, self._start(offset), size))
        return io.BytesIO(self._content(numbers, max_bytes))

    def _numbers(self, name: str) -> tuple[int, ...]:
        folder, file = posixpath.split(name)
        return self._folder(folder or ".").numbers_of(file)

    def _content(self, numbers: tuple[int, ...], max_bytes: int) -> bytes:
        offset, packed_size, size, method, checksum = numbers
        if max(size, packed_size) > max_bytes:
            raise OSError(f"larger than {max_bytes} bytes")
        if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise OSError("encrypted, or packed by a method other than deflate; pack the zip anew")
        self._file.seek(self._start(offset))
        packed = self._file.read(packed_size)
        data = packed if method == zipfile.ZIP_STORED else _inflate(packed, size)
        if len(data) != size or zlib.crc32(data) != checksum:
            raise OSError("damaged inside the zip")
        return data

    def _start(self, offset: int) -> int:
        """Where the data of a member begin."""
        self._file.seek(max(offset, 0))
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
            raise OSError("damaged inside the zip")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        return self._file.tell() + name_length + extra_length

    def _folder(self, folder: str) -> _Folder:
        if folder not in self._folders:
            raise InputError(f"{self.path}: holds no frames in {folder!r}; see what it holds with: unzip -l")
        return self._folders[folder]


class _Part(io.RawIOBase):
    """Neighbouring bytes of an open file as a file of their own.

    Args:
        file: The whole; its position moves.
        start: Of the part, bytes.
        size: Likewise.
    """

    def __init__(self, file: io.BufferedIOBase, start: int, size: int) -> None:
        self._whole, self._first, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:
        self._whole.seek(self._first + self._at)
        data = self._whole.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Folder:
    """The frames of one folder of a zip, put in order when one is first asked for: workers see few videos each."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers = array("q")

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, member: zipfile.ZipInfo) -> None:
        method = -1 if member.flag_bits & _ENCRYPTED else member.compress_type
        numbers = (member.header_offset, member.compress_size, member.file_size, method, member.CRC)
        self.names.append(name)
        self._numbers.extend(min(number, _HUGE) for number in numbers)

    @functools.cached_property
    def _order(self) -> list[int]:
        return sorted(range(len(self.names)), key=lambda i: _natural(self.names[i]))

    def name(self, index: int) -> str:
        return self.names[self._order[index]]

    def numbers(self, index: int) -> tuple[int, ...]:
        """Offset, packed size, size, method and checksum of a file, counted in natural order."""
        return self._five(self._order[index])

    def numbers_of(self, name: str) -> tuple[int, ...]:
        """The same of the file of this name."""
        if name not in self._places:
            raise OSError("not in the zip")
        return self._five(self._places[name])

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def _five(self, place: int) -> tuple[int, ...]:
        return tuple(self._numbers[5 * place : 5 * place + 5])


def _inflate(packed: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size)
    except zlib.error as error:
        raise OSError(f"damaged inside the zip: {error}") from error


def _members(path: Path) -> list[zipfile.ZipInfo]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a zip of frames")
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error) as error:
        raise InputError(f"{path}: not a zip that can be read ({error}); mend it or give a folder") from error


def read_small_member(path: Path, name: str, max_bytes: int) -> bytes | None:
    """Content of one file of a zip, or None if it holds none of that name.

    Raises:
        InputError: More than ``max_bytes``, or damaged.
    """
    with zipfile.ZipFile(path) as archive:
        try:
            with archive.open(name) as member:
                data = member.read(max_bytes + 1)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise InputError(f"{path}: {name} cannot be read ({error}); pack the zip anew") from error
    if len(data) > max_bytes:
        raise InputError(f"{path}: {name} is larger than {max_bytes} bytes; mend or remove it")
    return data
