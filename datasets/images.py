"""Single images: each a source of one frame, and what its file shows without being decoded.

Of seventy thousand files a scan reads only the first and last few bytes; a file whose end says nothing is decoded.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from datasets.sources import DEFAULT_FPS, MAX_FRAME_BYTES, Frames, open_zip, read_bounded
from datasets.video_facts import UnreadableVideo

_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5  # the EXIF tag; from this value on, height and width change places
_LAST_BYTES = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class ImageFile(Frames):
    """One image file as a source of a single frame.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(str(path), DEFAULT_FPS)
        self.path = Path(path)

    def __len__(self) -> int:
        return 1

    def data(self, index: int) -> bytes:
        return read_bounded(self.path)

    def open(self) -> io.BufferedIOBase:
        """The file, to look at its header."""
        return self.path.open("rb")


class ImageInZip(Frames):
    """One image file inside a zip as a source of a single frame.

    Args:
        path: The zip.
        member: Name of the file in it.
    """

    def __init__(self, path: str | Path, member: str) -> None:
        super().__init__(f"{path}/{member}", DEFAULT_FPS)
        self.path, self.member = Path(path), member

    def __len__(self) -> int:
        return 1

    def data(self, index: int) -> bytes:
        return open_zip(self.path).read_file(self.member, MAX_FRAME_BYTES)

    def open(self) -> io.BufferedIOBase:
        """The file, to look at its header."""
        return open_zip(self.path).open_file(self.member, MAX_FRAME_BYTES)


def image_size(image: ImageFile | ImageInZip) -> tuple[int, int]:
    """Height and width of an image, in pixels, as it is shown (turned as its metadata ask).

    Raises:
        UnreadableVideo: Empty, too large, no image, or an incomplete one.
        OSError: The file cannot be opened.
    """
    path = Path(image.name)
    with image.open() as file:
        num_bytes = file.seek(0, io.SEEK_END)
        if num_bytes == 0:
            raise UnreadableVideo(path, "empty: the file has 0 bytes")
        if num_bytes > MAX_FRAME_BYTES:
            raise UnreadableVideo(path, f"too large: more than {MAX_FRAME_BYTES} bytes")
        file.seek(0)
        try:
            return _size_in(file)
        except UnidentifiedImageError as error:
            raise UnreadableVideo(path, "not an image: of no known format") from error
        except Exception as error:  # readers of damaged files raise whatever they like
            raise UnreadableVideo(path, f"damaged: {error}") from error


def _size_in(file: io.BufferedIOBase) -> tuple[int, int]:
    with Image.open(file) as header:
        # Not the format's own method: that of PNG decodes the whole picture to look behind it.
        turned = Image.Image.getexif(header).get(_ORIENTATION, 1) >= _ON_ITS_SIDE
        if not _ends_well(file, header.format):
            header.load()
        width, height = header.size
    return (width, height) if turned else (height, width)


def _ends_well(file: io.BufferedIOBase, kind: str | None) -> bool:
    """Whether the last bytes are those with which files of this format end; the position in the file stays."""
    last, position = _LAST_BYTES.get(kind or ""), file.tell()
    if last is None:
        return False
    file.seek(-len(last), io.SEEK_END)
    whole = file.read() == last
    file.seek(position)
    return whole
