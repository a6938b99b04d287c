"""A whole store from a source: what becomes of each video, all videos at once, and the notes that go with the store."""

from __future__ import annotations

import functools
import logging
import posixpath
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets.discovery import MANIFEST
from datasets.index import SkippedVideo, VideoEntry, VideoIndex
from datasets.labels import has_dataset_json, labels_from_json
from datasets.prepare_video import Job, Piece, run
from datasets.stores import Store, Written
from datasets.workers import run_all
from errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """Which frames of a video become which videos of the store.

    Args:
        start_frame: First frame that is used.
        max_frames: Frames that are used at most, of each source video; None: all.
        chunk_frames: Length of the pieces a video is cut into, of which a shorter rest is dropped; None: one piece.
        min_frames: Shorter videos are skipped.
    """

    start_frame: int = 0
    max_frames: int | None = None
    chunk_frames: int | None = None
    min_frames: int = 1

    def pieces(self, name: str, num_frames: int) -> tuple[Piece, ...]:
        """The pieces of a video; none if it is too short."""
        stop = num_frames if self.max_frames is None else min(num_frames, self.start_frame + self.max_frames)
        if stop - self.start_frame < max(self.min_frames, self.chunk_frames or 1):
            return ()
        if self.chunk_frames is None:
            return (Piece(name, self.start_frame, stop),)
        starts = range(self.start_frame, stop - self.chunk_frames + 1, self.chunk_frames)
        return tuple(Piece(f"{name}_{i:04d}", first, first + self.chunk_frames) for i, first in enumerate(starts))


def build(
    index: VideoIndex,
    store: Store,
    cut: Cut,
    *,
    crop: str,
    filter: str,
    settings: dict[str, Any],
    num_workers: int,
    progress: bool = True,
) -> dict[str, Any]:
    """Makes the store, going on where an interrupted run stopped.

    Args:
        index: The source.
        store: Where to.
        cut: Which frames.
        crop: "center" or "stretch".
        filter: Name of a resampling filter.
        settings: Everything that decides what the store will hold, for the manifest; a run that was begun with others
            is not continued.
        num_workers: Processes.
        progress: Whether to show a progress bar.

    Returns:
        The manifest.

    Raises:
        InputError: No video is left, or an interrupted run had other settings.
        OSError: The store cannot be written.
    """
    from tqdm import tqdm

    jobs, short = _plan(index, cut, crop, filter)
    if not jobs:
        raise InputError(_nothing_left(index, short))
    labels = _labels(index)
    store.begin(settings)
    num_frames = sum(piece.stop - piece.first for job in jobs for piece in job.pieces)
    with tqdm(total=num_frames, desc=f"preparing {len(jobs)} videos", unit="frame", disable=not progress) as bar:
        calls = [functools.partial(run, job, store) for job in jobs]
        outcomes = dict(run_all(calls, min(num_workers, len(jobs)), bar.update))
    failed = [SkippedVideo(jobs[i].entry.name, outcomes[i].failure) for i in sorted(outcomes) if outcomes[i].failure]
    skipped = [*index.skipped, *short, *failed]
    for video in failed:
        logger.warning("skipped %s: %s", video.name, video.reason)
    made = {name: (job, done) for i, job in enumerate(jobs) for name, done in outcomes[i].written.items()}
    if not made:
        raise InputError(_nothing_left(index, failed))
    manifest = _manifest(settings, made, skipped, store.size)
    store.finish({name: done for name, (_, done) in made.items()}, _documents(manifest, made, labels, store))
    return manifest


def _nothing_left(index: VideoIndex, skipped: list[SkippedVideo]) -> str:
    first = skipped[0]
    return (
        f"{index.root}: none of its {len(index.videos)} videos can be prepared, such as {first.name}: {first.reason}; "
        "ask for fewer frames, or mend them"
    )


def _plan(index: VideoIndex, cut: Cut, crop: str, filter: str) -> tuple[list[Job], list[SkippedVideo]]:
    """A job for every video that is long enough, and the others."""
    jobs, short = [], []
    names = _store_names(index)
    for entry in index.videos:
        pieces = cut.pieces(names[entry.name], entry.num_frames)
        if pieces:
            jobs.append(Job(index.root, entry, pieces, _origin(index.root, entry), crop, filter))
        else:
            short.append(SkippedVideo(entry.name, f"too short: {entry.num_frames} frames"))
    return jobs, short


def _store_names(index: VideoIndex) -> dict[str, str]:
    """Names in the store: without the suffix of video files, where that leaves them different."""
    bare = {
        video.name: posixpath.splitext(video.name)[0] if video.kind == "video" else video.name for video in index.videos
    }
    times = Counter(bare.values())
    names = {name: short if times[short] == 1 else name for name, short in bare.items()}
    # Frames in the root itself have no folder of their own.
    return {name: index.root.absolute().stem if short == "." else short for name, short in names.items()}


def _origin(root: Path, entry: VideoEntry) -> str:
    """Text that changes when the video does."""
    path = root if entry.kind == "zip" else root / entry.name
    stat = path.stat() if path.exists() else None
    state = (stat.st_size, stat.st_mtime_ns) if stat else ()
    return repr((entry.name, entry.num_frames, entry.height, entry.width, *state))


def _labels(index: VideoIndex) -> dict[str, Any]:
    """Labels by name of video, if a dataset.json comes with them; that some have none matters to training only."""
    if not has_dataset_json(index.root):
        return {}
    labels = labels_from_json(index.root, [video.name for video in index.videos]).of
    missing = [video.name for video in index.videos if video.name not in labels]
    if missing:
        logger.warning("%d videos have no label in dataset.json, one of them %s", len(missing), missing[0])
    return labels


def _manifest(
    settings: dict[str, Any],
    made: dict[str, tuple[Job, Written]],
    skipped: list[SkippedVideo],
    size: tuple[int, int],
) -> dict[str, Any]:
    videos = {}
    for name, (job, written) in made.items():
        piece = next(piece for piece in job.pieces if piece.name == name)
        height, width = job.entry.height, job.entry.width
        videos[name] = {
            "source": job.entry.name,
            "source_size": [height, width],
            "enlarged": height < size[0] or width < size[1],
            "first_frame": piece.first,
            "fps": job.entry.fps,
            **asdict(written),
        }
    enlarged = sum(video["enlarged"] for video in videos.values())
    if enlarged:
        logger.warning("%d of %d videos are smaller than %dx%d and were enlarged", enlarged, len(videos), *size)
    totals = {
        "videos": len(videos),
        "frames": sum(video["num_frames"] for video in videos.values()),
        "bytes": sum(video["num_bytes"] for video in videos.values()),
        "skipped": len(skipped),
    }
    return {**settings, "totals": totals, "videos": videos, "skipped": {video.name: video.reason for video in skipped}}


def _documents(
    manifest: dict[str, Any], made: dict[str, tuple[Job, Written]], labels: dict[str, Any], store: Store
) -> dict[str, Any]:
    """The JSON files of the store: its manifest, and dataset.json if there are labels."""
    rows = [
        [file, labels[job.entry.name]]
        for name, (job, written) in made.items()
        if job.entry.name in labels
        for file in store.file_names(name, written.num_frames)
    ]
    return {MANIFEST: manifest, **({"dataset.json": {"labels": rows}} if rows else {})}
