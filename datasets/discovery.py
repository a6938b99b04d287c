"""What might be a video below a root: files, folders of frames, folders of a zip, prepared stores, at any depth.

Or what might be an image, where each is to be an item of its own: a video of one frame.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets.files import parse_json, read_json
from datasets.images import ImageFile, ImageInZip, image_size
from datasets.sources import DEFAULT_FPS, FrameFolder, FrameStore, FrameZip, Source, VideoFile, is_image
from datasets.video_facts import VideoFacts
from datasets.zip_frames import ZipFrames, read_small_member
from errors import InputError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
    | {".flv", ".wmv", ".ogv", ".3gp", ".gif", ".h264", ".hevc", ".mxf"}
)
STORE_SUFFIX = ".npy"
MANIFEST = "manifest.json"

_MAX_MANIFEST_BYTES = 2**27
_INNER_ZIP = "zip: read only when it is given as the root itself"
_NO_IMAGE = "no image: of videos, random frames can be taken as images (VideoFolder with num_frames 1)"


@dataclass(frozen=True)
class Candidate:
    """Something that looks like a video and has not been opened.

    Args:
        name: Path relative to the root, with "/"; "." for frames in the root itself.
        kind: "video", "folder", "zip", "store", "image" or "zip_image".
        fingerprint: Changes when the content does.
    """

    name: str
    kind: str
    fingerprint: tuple[int, ...]


@dataclass
class Findings:
    """What a walk over a root found.

    Args:
        root: What names are relative to.
        candidates: To be opened.
        unusable: Reasons, by name, against what will not be opened.
        manifest: What `prepare` noted of the videos, by name; empty for a root it did not make.
        noun: What the candidates are, in messages.
    """

    root: Path
    candidates: list[Candidate] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    noun: str = "videos"

    def fps(self, name: str, default: float) -> float:
        """Rate that the manifest states for a video, or the default."""
        video = self.manifest.get(name)
        fps = video.get("fps") if isinstance(video, dict) else None
        return float(fps) if isinstance(fps, int | float) and 0 < fps < 1e6 else default


def discover(root: Path, *, images: bool = False) -> Findings:
    """Walks over a folder, a zip, or a single video file; opens no video.

    Args:
        root: Where to look.
        images: Whether every image is an item, instead of a frame of the video that its folder is.

    Raises:
        InputError: Missing, or neither of these.
    """
    noun = "images" if images else "videos"
    if root.is_dir():
        return _discover_folder(root, images)
    if not root.exists():
        raise InputError(f"{root}: no such folder or file; give the folder or zip that holds your {noun}")
    if root.suffix.lower() == ".zip":
        return _discover_zip(root, images)
    if images:
        raise InputError(f"{root}: neither a folder nor a zip; give the one that holds your images")
    if root.suffix.lower() in VIDEO_SUFFIXES:
        return Findings(root.parent, [Candidate(root.name, "video", _file_fingerprint(root.stat()))])
    raise InputError(f"{root}: neither a folder, nor a zip, nor a video file; give one of them")


def look_at(root: Path, item: Candidate) -> VideoFacts:
    """Opens a candidate for what there is to know; the rate of images is left at the default.

    Raises:
        InputError: It cannot be used.
        OSError: Likewise.
    """
    if item.kind == "video":
        from datasets.video_probe import probe  # with PyAV, which frames do without

        return probe(root / item.name)
    if item.kind in ("image", "zip_image"):
        return VideoFacts(1, DEFAULT_FPS, *image_size(_image_of(root, item.name, item.kind)), "")
    frames = _frames_of(root, item.name, item.kind, DEFAULT_FPS)
    return VideoFacts(len(frames), DEFAULT_FPS, *frames.size, "")


def source_of(root: Path, name: str, kind: str, facts: VideoFacts) -> Source:
    """The source for a video of an index."""
    if kind == "video":
        return VideoFile(root / name, facts)
    if kind in ("image", "zip_image"):
        return _image_of(root, name, kind)
    return _frames_of(root, name, kind, facts.fps, (facts.height, facts.width))


def _image_of(root: Path, name: str, kind: str) -> ImageFile | ImageInZip:
    return ImageFile(root / name) if kind == "image" else ImageInZip(root, name)


def _frames_of(
    root: Path, name: str, kind: str, fps: float, size: tuple[int, int] | None = None
) -> FrameFolder | FrameZip | FrameStore:
    match kind:
        case "folder":
            return FrameFolder(root / name, fps, size)
        case "zip":
            return FrameZip(root, name, fps, size)
        case "store":
            return FrameStore(root / f"{name}{STORE_SUFFIX}", fps)
    raise InputError(f"{name}: unknown kind of video {kind!r}; scan {root} again")


def _discover_folder(root: Path, images: bool) -> Findings:
    found, note = (Findings(root, noun="images"), _note_images) if images else (Findings(root), _note_videos)
    for folder, files in _walk(root, found):
        note(found, folder.relative_to(root), files)
    if (root / MANIFEST).is_file():
        found.manifest = _videos_of(read_json(root / MANIFEST, _MAX_MANIFEST_BYTES))
    return found


def _walk(root: Path, found: Findings) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Folders at any depth with their files; links are followed, hidden names left out, no folder visited twice."""
    pending, seen = [root], set()
    while pending:
        folder = pending.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
        except PermissionError as error:
            if folder == root:
                raise
            found.unusable[folder.relative_to(root).as_posix()] = f"unreadable: {error.strerror}"
            continue
        pending.extend(folder / entry.name for entry in visible if entry.is_dir())
        yield folder, [entry for entry in visible if entry.is_file()]


def _note_videos(found: Findings, folder: Path, files: list[os.DirEntry[str]]) -> None:
    """Notes what the files of one folder are."""
    frames = [file for file in files if is_image(file.name)]
    beside_videos = False
    for file in files:
        name, suffix = (folder / file.name).as_posix(), os.path.splitext(file.name)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            beside_videos = True
            found.candidates.append(Candidate(name, "video", _file_fingerprint(file.stat())))
        elif suffix == STORE_SUFFIX:
            name = name.removesuffix(file.name[-len(STORE_SUFFIX) :])
            found.candidates.append(Candidate(name, "store", _file_fingerprint(file.stat())))
        elif suffix == ".zip":
            found.unusable[name] = _INNER_ZIP
    if frames and beside_videos:
        found.unusable[folder.as_posix()] = f"images: {len(frames)} beside video files are not taken for frames"
    elif frames:
        found.candidates.append(Candidate(folder.as_posix(), "folder", _folder_fingerprint(frames)))


def _note_images(found: Findings, folder: Path, files: list[os.DirEntry[str]]) -> None:
    """Notes the images of one folder, and what will be missed."""
    for file in files:
        name, suffix = (folder / file.name).as_posix(), os.path.splitext(file.name)[1].lower()
        if is_image(file.name):
            found.candidates.append(Candidate(name, "image", _file_fingerprint(file.stat())))
        elif suffix in VIDEO_SUFFIXES or suffix == STORE_SUFFIX:
            found.unusable[name] = _NO_IMAGE
        elif suffix == ".zip":
            found.unusable[name] = _INNER_ZIP


def _discover_zip(path: Path, images: bool) -> Findings:
    found = Findings(path, noun="images" if images else "videos")
    frames = ZipFrames(path, is_image)
    fingerprint = _file_fingerprint(path.stat())
    for name in frames.folders:
        if posixpath.isabs(name) or ".." in name.split("/"):
            found.unusable[name] = "unsafe name: it leads out of the zip"
        elif images:
            found.candidates.extend(Candidate(file, "zip_image", fingerprint) for file in frames.files(name))
        else:
            found.candidates.append(Candidate(name, "zip", (*fingerprint, frames.num_frames(name))))
    for name in frames.other_files:
        if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES:
            found.unusable[name] = _NO_IMAGE if images else "video file in a zip: unpack the zip and give the folder"
    manifest = read_small_member(path, MANIFEST, _MAX_MANIFEST_BYTES)
    if manifest is not None:
        found.manifest = _videos_of(parse_json(manifest, f"{path}/{MANIFEST}"))
    return found


def _videos_of(manifest: Any) -> dict[str, Any]:
    videos = manifest.get("videos") if isinstance(manifest, dict) else None
    return videos if isinstance(videos, dict) else {}


def _file_fingerprint(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_size, stat.st_mtime_ns


def _folder_fingerprint(files: list[os.DirEntry[str]]) -> tuple[int, ...]:
    stats = [file.stat() for file in files]
    return len(stats), sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
