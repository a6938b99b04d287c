"""What a folder, a zip or a prepared store holds: usable videos, their sizes and labels, and what is skipped and why.

A scan opens every video once; what it finds is remembered in a cache folder of the user, never beside the videos, until
a file's size or time of change differs.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32
from natsort import natsort_keygen, ns

from datasets.discovery import Candidate, Findings, discover, look_at, source_of
from datasets.files import write_json
from datasets.labels import Label, Labels, labels_from_folders, labels_from_json, no_labels
from datasets.scan_cache import ScanCache
from datasets.sources import DEFAULT_FPS, Source
from datasets.video_facts import SEQUENTIAL, VideoFacts
from errors import InputError

logger = logging.getLogger(__name__)

_LABELS = {"none": no_labels, "json": labels_from_json, "folders": labels_from_folders}
_NUM_LOGGED = 20
_natural = natsort_keygen(alg=ns.PATH)


@dataclass(frozen=True)
class VideoEntry:
    """One usable video.

    Args:
        name: Path relative to the root, with "/"; "." for frames that lie in the root itself.
        kind: What it is: "video" (a file), "folder", "zip" (frames), "store" (prepared raw frames), or a single image,
            "image" or "zip_image".
        num_frames: Its length.
        fps: Frames per second.
        height: Of a frame, in pixels, as it is shown.
        width: Likewise.
        label: Class number, condition vector, or None.
        reader: How a video file is read; empty for the other kinds.
    """

    name: str
    kind: str
    num_frames: int
    fps: float
    height: int
    width: int
    label: Label = None
    reader: str = ""


@dataclass(frozen=True)
class SkippedVideo:
    """One video that cannot be used, and why.

    Args:
        name: Path relative to the root, with "/".
        reason: In a few words, "kind: details".
    """

    name: str
    reason: str


@dataclass
class VideoIndex:
    """All videos below one root, in natural order.

    Args:
        root: Folder, zip or prepared store; names are relative to it.
        videos: What can be used.
        skipped: What cannot.
        num_classes: Size of the one-hot labels, 0 if labels are vectors or there are none.
        class_names: Names of the classes, where they come from folders.
    """

    root: Path
    videos: list[VideoEntry]
    skipped: list[SkippedVideo] = field(default_factory=list)
    num_classes: int = 0
    class_names: list[str] = field(default_factory=list)

    def labels(self) -> Float32[np.ndarray, "N c_dim"]:
        """Conditions of the videos: class numbers as one-hot rows, vectors as they are; c_dim is 0 without labels."""
        labels = [video.label for video in self.videos]
        if not labels or labels[0] is None:
            return np.zeros((len(labels), 0), dtype=np.float32)
        if isinstance(labels[0], int):
            return np.eye(max(self.num_classes, max(labels) + 1), dtype=np.float32)[labels]
        return np.array(labels, dtype=np.float32)

    def open(self, index: int) -> Source:
        """The source of one video; it holds nothing open until it is read."""
        video = self.videos[index]
        facts = VideoFacts(video.num_frames, video.fps, video.height, video.width, video.reader)
        return source_of(self.root, video.name, video.kind, facts)

    def save(self, path: str | Path) -> None:
        """Writes the index as JSON: videos, labels, and what was skipped and why."""
        write_json(Path(path), {**asdict(self), "root": str(self.root)})


def scan(
    root: str | Path,
    *,
    min_frames: int = 1,
    labels: Literal["none", "json", "folders"] = "none",
    fps: float = DEFAULT_FPS,
    cache_dir: str | Path | None = None,
    num_workers: int = 8,
    progress: bool = True,
    random_access: bool = True,
    images: bool = False,
) -> VideoIndex:
    """Finds the usable videos, or images, below a root.

    Args:
        root: A folder of any depth with video files, folders of frames, or both; a zip of frames; a prepared store; or
            one video file.
        min_frames: Shorter videos are skipped.
        labels: "none"; "json": from dataset.json in the root; "folders": the folder a video lies in is its class.
        fps: Frames per second of videos that are images and do not come from `datasets.prepare`.
        cache_dir: Where findings are remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
        num_workers: Videos looked at together.
        progress: Whether to show a progress bar.
        random_access: Whether frames will be wanted in any order, and files for which that is slow deserve a warning.
        images: Whether every image is a video of one frame, instead of a frame of the video that its folder is.

    Raises:
        InputError: Missing root, no usable video in it, or labels that are missing or broken.
    """
    found = discover(Path(root).expanduser(), images=images)
    facts = _look_at_all(found, ScanCache.at(cache_dir, found.root), num_workers, progress)
    videos, skipped = [], [SkippedVideo(name, reason) for name, reason in found.unusable.items()]
    labelled = _LABELS[labels](found.root, [candidate.name for candidate in found.candidates])
    for candidate, fact in zip(found.candidates, facts, strict=True):
        if isinstance(fact, VideoFacts) and fact.num_frames >= min_frames:
            videos.append(_entry(candidate, fact, found.fps(candidate.name, fps), labelled))
        elif isinstance(fact, VideoFacts):
            skipped.append(SkippedVideo(candidate.name, f"too short: {fact.num_frames} of {min_frames} frames"))
        else:
            skipped.append(SkippedVideo(candidate.name, fact))
    videos.sort(key=lambda video: _natural(video.name))
    skipped.sort(key=lambda video: _natural(video.name))
    if not videos and found.root != Path(root).expanduser():  # one file, of which one line says all
        raise InputError(f"{root}: {skipped[0].reason}; mend it, give another video, or ask for fewer frames")
    _log(found, videos, skipped)
    if random_access:
        _warn_of_slow(videos)
    if not videos:
        raise InputError(_nothing_usable(found, skipped))
    labelled.require((video.name for video in videos), found.noun)
    return VideoIndex(found.root, videos, skipped, labelled.num_classes, labelled.class_names)


def _look_at_all(found: Findings, cache: ScanCache, num_workers: int, progress: bool) -> list[VideoFacts | str]:
    """Facts about every candidate, or the reason against it; what an interrupted scan found is kept."""
    from tqdm import tqdm

    known: dict[Candidate, VideoFacts | str | None] = {
        item: cache.get(item.kind, item.name, item.fingerprint) for item in found.candidates
    }
    unknown = [item for item in found.candidates if known[item] is None]
    # The folders of a zip share one directory, which every thread would have to read anew.
    pool = ThreadPoolExecutor(1 if found.root.is_file() else max(num_workers, 1))
    try:
        looked = pool.map(lambda item: _look_at(found.root, item), unknown)
        title, unit = f"scanning {found.noun}", found.noun.removesuffix("s")
        bar = tqdm(looked, title, len(unknown), unit=unit, disable=not progress or not unknown)
        for item, facts in zip(unknown, bar, strict=True):
            known[item] = facts
            if isinstance(facts, VideoFacts):
                cache.put(item.kind, item.name, item.fingerprint, facts)
    finally:
        pool.shutdown(cancel_futures=True)
        cache.save()
    return [known[item] for item in found.candidates]


def _look_at(root: Path, item: Candidate) -> VideoFacts | str:
    try:
        return look_at(root, item)
    except InputError as error:
        return getattr(error, "reason", f"unreadable: {error}")
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"


def _entry(item: Candidate, facts: VideoFacts, fps: float, labels: Labels) -> VideoEntry:
    fps = facts.fps if item.kind == "video" else fps
    label = labels.of.get(item.name)
    return VideoEntry(item.name, item.kind, facts.num_frames, fps, facts.height, facts.width, label, facts.reader)


def _log(found: Findings, videos: list[VideoEntry], skipped: list[SkippedVideo]) -> None:
    for video in skipped[:_NUM_LOGGED]:
        logger.warning("skipped %s: %s", video.name, video.reason)
    if len(skipped) > _NUM_LOGGED:
        logger.warning("skipped %d more, %d in all", len(skipped) - _NUM_LOGGED, len(skipped))
    logger.info("%s: %d %s, %d skipped", found.root, len(videos), found.noun, len(skipped))


def _warn_of_slow(videos: list[VideoEntry]) -> None:
    slow = [video.name for video in videos if video.reader == SEQUENTIAL]
    if slow:
        logger.warning(
            "%d videos, one of them %s, are exact only when read from their start, which is slow: "
            "run python -m datasets.prepare first",
            len(slow),
            slow[0],
        )


def _nothing_usable(found: Findings, skipped: list[SkippedVideo]) -> str:
    images = found.noun == "images"
    if not skipped:
        wanted = "image files, or a zip of them" if images else "video files, folders of frames, or a zip of frames"
        return f"{found.root}: no {found.noun}; put {wanted} there"
    kinds = Counter(video.reason.split(":")[0] for video in skipped)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    first = skipped[0]
    return (
        f"{found.root}: no usable {found.noun.removesuffix('s')}; {len(skipped)} skipped ({counted}), such as "
        f"{first.name}: {first.reason}; add or mend {found.noun}{'' if images else ', or ask for fewer frames'}"
    )
