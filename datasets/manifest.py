"""What a collection of videos is, as one hash: the same wherever it lies, another as soon as anything in it differs.

Scores and cached statistics carry it, so that they are never taken for those of other data. Content is told by sizes
and samples of the bytes, checksums where a zip has them, so that a hundred thousand videos take a minute, not a day.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import singledispatch
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from datasets.collection import IndexedVideos, RenderedVideos, VideoCollection
from datasets.discovery import STORE_SUFFIX
from datasets.index import VideoEntry
from datasets.sources import FrameFolder, is_image
from errors import InputError

_VERSION = 1  # of how hashes are made; raise it when the same data get another one
_END_BYTES = 2**16
_CHUNK = 32  # frames rendered at a time
_MAX_RENDERED = 256  # frames of a rendered video that are looked at
_NUM_THREADS = 8  # that wait for the disk
_PATIENCE = 2.0  # seconds until a progress bar appears

_known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def digest(videos: VideoCollection) -> str:
    """SHA-256 of a collection, hexadecimal; made once per object and process.

    Of indexed videos count, in their order: names relative to the root, kinds, numbers of frames, sizes, rates, labels,
    and the content: byte size and first and last 64 KiB of each file; of a folder of frames the names and byte sizes of
    all and those bytes of the first and last one; of frames in a zip their names, sizes and checksums. What is in the
    middle of a file and leaves its size and both ends alone is not noticed.

    Of rendered videos count class, seeds, lengths, size, labels and the pixels of the first and last video, of at most
    256 frames each. A processor that rounds differently may give another hash; statistics are then computed anew.

    Args:
        videos: From `datasets.index.scan` or rendered.

    Raises:
        InputError: A file is gone or cannot be read.
    """
    if videos not in _known:
        made = hashlib.sha256(f"videos, version {_VERSION}\n".encode())
        for line in _lines(videos):
            made.update(line + b"\n")
        _known[videos] = made.hexdigest()
    return _known[videos]


def halves(names: Sequence[str]) -> tuple[Int64[np.ndarray, " V"], Int64[np.ndarray, " W"]]:
    """A fixed split of videos: one half to choose checkpoints by, and one that only final scores see.

    The names are ranked by their SHA-256, and the ranks alternate: neither the order of the videos nor the place of
    their folder matters, and the halves differ in size by one at most. To add or remove a video may move others.

    Args:
        names: Of all videos, relative to their root, no two alike.

    Returns:
        Numbers of the videos for validation (one more where there is an odd number) and for the test, each ascending.
    """
    ranked = sorted(range(len(names)), key=lambda i: hashlib.sha256(_bytes(names[i])).digest())
    validation, test = (np.array(sorted(ranked[first::2]), dtype=np.int64) for first in (0, 1))
    return validation, test


@singledispatch
def _lines(videos: VideoCollection) -> Iterator[bytes]:
    """All there is to say of a collection, in lines."""
    raise TypeError(f"{type(videos).__name__}: collections of this class have no digest")


@_lines.register
def _(videos: IndexedVideos) -> Iterator[bytes]:
    index = videos.index
    content_of = _content_of_kinds(index.root, index.videos)
    pool = ThreadPoolExecutor(_NUM_THREADS)
    try:
        contents = pool.map(content_of, index.videos)
        bar = tqdm(contents, "fingerprints", len(index.videos), unit="video", disable=None, delay=_PATIENCE)
        for video, label, content in zip(index.videos, videos.labels, bar, strict=True):
            yield _line(
                video.name, video.kind, video.num_frames, video.height, video.width, video.fps, label.tolist(), content
            )
    finally:
        pool.shutdown(cancel_futures=True)


@_lines.register
def _(videos: RenderedVideos) -> Iterator[bytes]:
    num_videos = len(videos.lengths)
    ends = [videos.open(number) for number in sorted({0, num_videos - 1})]
    kind = f"{type(ends[0]).__module__}.{type(ends[0]).__qualname__}"
    enlarged = [] if videos.scales == (1.0,) else [list(videos.scales)]
    yield _line("rendered", kind, videos.first_seed, num_videos, videos.num_frames, list(videos.size), *enlarged)
    yield _line(videos.labels.shape, hashlib.sha256(videos.labels.astype("<f4").tobytes()).hexdigest())
    for video in ends:
        times = np.unique(np.linspace(0, len(video) - 1, _MAX_RENDERED).round().astype(np.int64))
        pixels = hashlib.sha256()
        for first in range(0, len(times), _CHUNK):
            pixels.update(video.read(times[first : first + _CHUNK]).numpy().tobytes())
        yield _line(len(video), video.fps, pixels.hexdigest())


def _content_of_kinds(root: Path, videos: Iterable[VideoEntry]) -> Callable[[VideoEntry], str]:
    """What tells the content of a video; the directory of a zip is read once for all of them."""
    in_zip = _zip_contents(root) if any(video.kind in ("zip", "zip_image") for video in videos) else {}

    def content_of(video: VideoEntry) -> str:
        try:
            match video.kind:
                case "video" | "image":
                    return _ends(root / video.name)
                case "store":
                    return _ends(root / f"{video.name}{STORE_SUFFIX}")
                case "folder":
                    return _folder_content(root / video.name)
                case "zip" | "zip_image":
                    return in_zip[video.kind, video.name]
        except (OSError, LookupError) as error:
            reason = getattr(error, "strerror", None) or "not there"
            raise InputError(f"{root}: {video.name} cannot be read ({reason}): start again once it is back") from error
        raise InputError(f"{video.name}: unknown kind of video {video.kind!r}; scan {root} again")

    return content_of


def _ends(path: Path) -> str:
    """Size of a file and hash of its first and last bytes; of a small one, of all."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        made = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(size - _END_BYTES, _END_BYTES))
        made.update(file.read(_END_BYTES))
    return f"{size} {made.hexdigest()}"


def _folder_content(path: Path) -> str:
    """Names and sizes of the frames of a folder, and the ends of the first and last one."""
    names = FrameFolder(path).files
    sizes = [[name, os.stat(path / name).st_size] for name in names]
    return hashlib.sha256(_line(sizes, *(_ends(path / name) for name in (names[0], names[-1])))).hexdigest()


def _zip_contents(path: Path) -> dict[tuple[str, str], str]:
    """Names, sizes and checksums of the images in a zip, in whatever order, by kind and name of a video."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m.filename, m.file_size, m.CRC) for m in archive.infolist() if is_image(m.filename))
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: not a zip that can be read ({error}); mend it") from error
    folders: dict[str, Any] = {}
    for name, *facts in members:
        folder, file = posixpath.split(name)
        folders.setdefault(folder or ".", hashlib.sha256()).update(_line(file, *facts))
    contents = {("zip", name): made.hexdigest() for name, made in folders.items()}
    return contents | {("zip_image", name): _line(*facts).decode() for name, *facts in members}


def _line(*values: Any) -> bytes:
    """Values in a form that no other values have."""
    return _bytes(json.dumps(values))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
