"""Clips per second from every kind of source, side by side.

    python benchmarks/loader.py --resolution 256 --frames 3

The same videos, made on the fly, are written into a temporary folder as JPEG frames, a zip of them, raw frames and
video files; then clips are loaded from each. The table goes to stderr, the figures as JSON to stdout. Machines differ
from hour to hour: compare the ratios, which are to video files read with PyAV in the same run.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from datasets.clips import ClipSampler, SparseClips
from datasets.frame_sampling import RandomSpans
from datasets.sources import FrameFolder, FrameStore, FrameZip, Source
from datasets.synthetic import SpriteVideo
from datasets.video_facts import DECORD, SEEKING, decord_is_there
from datasets.video_file import VideoFile
from datasets.video_probe import probe
from datasets.video_writer import open_writer

REFERENCE = "video file, PyAV"


@dataclass
class Speed:
    """How fast one kind of source is.

    Attributes:
        clips_per_second: Wall-clock.
        cpu_ms_per_clip: Process-CPU milliseconds; None where workers did the work.
        ratio: Clips per second over those of `REFERENCE`.
    """

    clips_per_second: float
    cpu_ms_per_clip: float | None
    ratio: float | None = None


class Sources:
    """A list of sources, as `SparseClips` wants them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.lengths = np.array([len(source) for source in sources], dtype=np.int64)
        self.labels = np.zeros((len(sources), 0), dtype=np.float32)

    def open(self, index: int) -> Source:
        return self.sources[index]


def loader(
    resolution: int = 256,
    frames: int = 3,
    batch: int = 8,
    videos: int = 8,
    length: int = 120,
    seconds: float = 5.0,
    workers: int = 0,
) -> dict[str, Speed]:
    """Makes the material and times the loading of clips from each kind of source.

    Args:
        resolution: Side of videos and clips, pixels: no kind pays for scaling.
        frames: Frames per clip.
        batch: Clips per batch.
        videos: How many videos there are.
        length: Frames of each.
        seconds: For how long each kind is measured.
        workers: Processes that load; 0: this one.
    """
    with tempfile.TemporaryDirectory(prefix="loader-") as folder:
        kinds = make_material(Path(folder), [SpriteVideo(i, length, (resolution, resolution)) for i in range(videos)])
        speeds = {}
        for name, sources in kinds.items():
            clips = SparseClips(Sources(sources), RandomSpans(frames), (resolution, resolution), batch_size=batch)
            speeds[name] = measure(clips, seconds, workers)
    for speed in speeds.values():
        speed.ratio = speed.clips_per_second / speeds[REFERENCE].clips_per_second
    return speeds


def make_material(folder: Path, videos: Sequence[SpriteVideo]) -> dict[str, list[Source]]:
    """The videos as every kind of source."""
    kinds: dict[str, list[Source]] = {"synthetic, rendered": list(videos)}
    for i, video in enumerate(videos):
        frames = video.read(range(len(video)))
        write_frames(folder / "frames" / str(i), frames)
        np.save(folder / f"{i}.npy", frames.numpy())
        with open_writer(folder / f"{i}.mp4", video.fps) as writer:
            writer.write(frames)
    with zipfile.ZipFile(folder / "frames.zip", "w") as archive:
        for file in sorted((folder / "frames").rglob("*.jpg")):
            archive.write(file, file.relative_to(folder / "frames"))

    numbers = range(len(videos))
    kinds["frame folder, JPEG"] = [FrameFolder(folder / "frames" / str(i)) for i in numbers]
    kinds["zip, JPEG"] = [FrameZip(folder / "frames.zip", str(i)) for i in numbers]
    kinds["raw store"] = [FrameStore(folder / f"{i}.npy") for i in numbers]
    readers = {"video file, decord": DECORD, REFERENCE: SEEKING} if decord_is_there() else {REFERENCE: SEEKING}
    for name, reader in readers.items():
        paths = [folder / f"{i}.mp4" for i in numbers]
        kinds[name] = [VideoFile(path, replace(probe(path), reader=reader)) for path in paths]
    return kinds


def write_frames(folder: Path, frames: torch.Tensor) -> None:
    """Frames as JPEG files of quality 95."""
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{i:06d}.jpg", quality=95)


def measure(clips: SparseClips, seconds: float, workers: int) -> Speed:
    """Loads batches for so many seconds, after two to warm up."""
    settings = {"prefetch_factor": 2, "timeout": 60.0} if workers else {}
    batches = iter(DataLoader(clips, batch_sampler=ClipSampler(clips.batch_size), num_workers=workers, **settings))
    for _ in range(2):
        next(batches)
    count, start = 0, (time.perf_counter(), time.process_time())
    while count == 0 or time.perf_counter() - start[0] < seconds:
        next(batches)
        count += clips.batch_size
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    return Speed(count / wall, None if workers else 1000 * cpu / count)


def table(speeds: dict[str, Speed]) -> str:
    """One line per kind of source: clips per second, CPU milliseconds per clip, ratio."""
    lines = [f"{'':22}{'clips/s':>10}{'CPU ms/clip':>13}{'x ' + REFERENCE:>20}"]
    for name, speed in speeds.items():
        cpu = "" if speed.cpu_ms_per_clip is None else f"{speed.cpu_ms_per_clip:.2f}"
        lines.append(f"{name:22}{speed.clips_per_second:>10.1f}{cpu:>13}{speed.ratio:>20.1f}")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command: `loader` with its arguments as flags."""
    from jsonargparse import auto_cli

    torch.set_num_threads(1)  # as in a worker
    speeds = auto_cli(loader, args=args, as_positional=False)
    print(table(speeds), file=sys.stderr)
    print(json.dumps({name: asdict(speed) for name, speed in speeds.items()}, indent=1))


if __name__ == "__main__":
    main()
