"""One video on its way into a store: decoded once from start to end, brought to one size, written as a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from datasets.discovery import source_of
from datasets.index import VideoEntry
from datasets.sources import Source
from datasets.stores import Store, Written
from datasets.video_facts import DECORD, SEEKING, VideoFacts
from errors import InputError

_BATCH = 4  # frames in memory at once; those of 4K take 25 MB each
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


@dataclass(frozen=True)
class Piece:
    """A stretch of a source that becomes one video of the store.

    Args:
        name: In the store.
        first: First frame of the source.
        stop: Frame after the last one.
    """

    name: str
    first: int
    stop: int


@dataclass(frozen=True)
class Job:
    """One video of the source and all that is made of it.

    Args:
        root: Of the source.
        entry: The video.
        pieces: What it becomes, in order.
        origin: Changes when the video does.
        crop: "center" or "stretch".
        filter: Name of a resampling filter.
    """

    root: Path
    entry: VideoEntry
    pieces: tuple[Piece, ...]
    origin: str
    crop: str
    filter: str


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the finished videos by name, or the reason why not."""

    written: dict[str, Written]
    failure: str = ""


def run(job: Job, store: Store, advance: Callable[[int], None]) -> Outcome:
    """Does a job, leaving out what an earlier run has finished.

    Args:
        job: What to do.
        store: Where to.
        advance: Called with numbers of frames that are done; may raise to stop.

    Raises:
        OSError: The store cannot be written, say for lack of space.
    """
    written = {}
    source = _open(job)
    for piece in job.pieces:
        done = store.finished(piece.name, job.origin)
        if done is None:
            frames = _frames(source, piece, store.size, job, advance)
            try:
                done = store.write(piece.name, job.origin, frames, piece.stop - piece.first)
            except InputError as error:  # the source cannot be read on
                return Outcome(written, getattr(error, "reason", str(error)))
        else:
            advance(piece.stop - piece.first)
        written[piece.name] = done
    return Outcome(written)


def _open(job: Job) -> Source:
    entry = job.entry
    # From start to end PyAV is exact where decord is, and also where decord is not installed.
    reader = SEEKING if entry.reader == DECORD else entry.reader
    facts = VideoFacts(entry.num_frames, entry.fps, entry.height, entry.width, reader)
    return source_of(job.root, entry.name, entry.kind, facts)


def _frames(
    source: Source, piece: Piece, size: tuple[int, int], job: Job, advance: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    for start in range(piece.first, piece.stop, _BATCH):
        batch = source.read(range(start, min(start + _BATCH, piece.stop)))
        for frame in batch.numpy().transpose(0, 2, 3, 1):
            yield fit(np.ascontiguousarray(frame), size, job.crop, job.filter)
        advance(len(batch))


def fit(
    frame: UInt8[np.ndarray, "H W 3"], size: tuple[int, int], crop: str = "center", filter: str = "lanczos"
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame at another size, without aliasing.

    Args:
        frame: Of any size.
        size: Height and width wanted.
        crop: "center": keep the shape of things and cut off what is too wide or too high, evenly; "stretch": keep
            everything and change the shape.
        filter: "lanczos", "bicubic", "bilinear" or "box"; widened when the frame shrinks.
    """
    (height, width), (h, w) = frame.shape[:2], size
    if (height, width) == (h, w):
        return frame
    scale = min(height / h, width / w)
    kept_h, kept_w = (scale * h, scale * w) if crop == "center" else (height, width)
    top, left = (height - kept_h) / 2, (width - kept_w) / 2
    box = (left, top, min(left + kept_w, width), min(top + kept_h, height))
    return np.asarray(Image.fromarray(frame).resize((w, h), FILTERS[filter], box=box))
