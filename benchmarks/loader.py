"""Clips per second and core from every kind of source, beside what decoding alone would take.

    python benchmarks/loader.py --resolution 256 --frames 3

The same videos, made on the fly, are written into a temporary folder as JPEG frames, a zip of them, raw frames and
video files; then clips are loaded from each, with no, one and as many workers as there are cores. In turn with loading,
what the same clips are made of is decoded in a bare loop, without files, index, draws or batches: that is the limit,
and `share` is how much of it the loader reaches, both per second of processor time. Limits: Pillow's decoding of JPEG
files that are in memory; ffmpeg's of the packets from the keyframe on, with the colours of the frames that are wanted
(a reader that goes on from where it stands can be faster); for raw frames one copy. `cores` is how many cores like
these feed the training that is asked for.

The table goes to stderr, the figures as JSON to stdout. Processor time is that of all processes that load; of workers
Linux alone tells it, in hundredths of a second. Machines differ from hour to hour: compare shares.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.loader_limits import Decode, Limits
from command_line import Parser
from datasets.clips import ClipSampler, Framing, SparseClips
from datasets.encoded_clips import EncodedClips, collate
from datasets.frame_sampling import RandomSpans
from datasets.jpeg_decoding import decoder_for, on_host
from datasets.sources import FrameFolder, FrameStore, FrameZip, Source
from datasets.synthetic import SpriteVideo
from datasets.video_facts import DECORD, SEEKING, decord_is_there
from datasets.video_file import VideoFile
from datasets.video_probe import probe
from datasets.video_writer import open_writer
from errors import InputError, clear_errors

ZIP = "zip, JPEG"
_PREFETCH = 2  # batches that each worker prepares ahead
_BATCHES = 3  # loaded before the limit has its turn
_USER, _SYSTEM = 11, 12  # fields of /proc/PID/stat behind the name: clock ticks spent


@dataclass(frozen=True)
class Speed:
    """How fast one kind of source is with so many workers.

    Attributes:
        kind: Of source.
        workers: Processes that load; 0: the one that would train.
        kilobytes: Of a frame as it is stored; None where it is made on the fly.
        clips_per_second: Wall-clock.
        clips_per_core: Per second of processor time of all processes; None where that of workers is not told.
        limit: The same of a bare loop that decodes; None where nothing is decoded.
        share: The former over the latter.
        cores: That load as many frames as training wants.
    """

    kind: str
    workers: int
    kilobytes: float | None
    clips_per_second: float
    clips_per_core: float | None
    limit: float | None
    share: float | None
    cores: float | None


@dataclass
class Spent:
    """What was done, in how much time.

    Attributes:
        clips: Loaded or decoded.
        wall: Seconds.
        cpu: Seconds of processor time.
    """

    clips: int = 0
    wall: float = 0.0
    cpu: float = 0.0

    def measure(self, call: Callable[[], object], clips: int) -> None:
        """Adds a call that deals with so many clips."""
        start = time.perf_counter(), time.process_time()
        call()
        self.clips += clips
        self.wall += time.perf_counter() - start[0]
        self.cpu += time.process_time() - start[1]


class Sources:
    """A list of sources, as `SparseClips` wants them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.lengths = np.array([len(source) for source in sources], dtype=np.int64)
        self.labels = np.zeros((len(sources), 0), dtype=np.float32)

    def open(self, index: int) -> Source:
        return self.sources[index]


class Addresses(SparseClips):
    """Clips as what they are made of: a source, and numbers of its frames."""

    def _frames(self, source: Source, times: list[int]) -> tuple[Source, list[int]]:
        return source, times

    def _shown(self, frames: tuple[Source, list[int]], framing: Framing) -> tuple[Source, list[int]]:
        return frames


@dataclass(frozen=True)
class Kind:
    """A kind of source, and how clips of it are loaded.

    Attributes:
        name: In the table.
        sources: The videos.
        late: Decoding by this process of what workers have left encoded; None: they decode.
    """

    name: str
    sources: list[Source]
    late: Callable[[dict[str, Any]], None] | None = None

    def clips(self, which: type[SparseClips], batch: int, frames: int) -> SparseClips:
        return which(Sources(self.sources), RandomSpans(frames), self.sources[0].size, batch_size=batch)

    def batches(self, batch: int, frames: int, workers: int) -> Iterator[dict[str, Any]]:
        """Batches without end."""
        settings: dict[str, Any] = {"prefetch_factor": _PREFETCH, "timeout": 60.0} if workers else {}
        clips = self.clips(EncodedClips if self.late else SparseClips, batch, frames)
        settings["collate_fn"] = collate if self.late else None
        return iter(DataLoader(clips, batch_sampler=ClipSampler(batch), num_workers=workers, **settings))

    def decodings(self, batch: int, frames: int, limits: Limits) -> Iterator[list[Decode]]:
        """What a bare loop has to do for the same batches; what it needs is in memory."""
        addresses = self.clips(Addresses, batch, frames)
        for keys in ClipSampler(batch):
            made_of = [addresses[key]["clip"] for key in keys]
            yield [decode for decode in (limits.of(*each) for each in made_of) if decode]


def make_material(folder: Path, videos: Sequence[UInt8[Tensor, "F 3 H W"]], fps: float = 25.0) -> list[Kind]:
    """The videos as every kind of source."""
    for i, frames in enumerate(videos):
        write_frames(folder / "frames" / str(i), frames)
        np.save(folder / f"{i}.npy", frames.numpy())
        with open_writer(folder / f"{i}.mp4", fps) as writer:
            writer.write(frames)
    with zipfile.ZipFile(folder / "frames.zip", "w") as archive:
        for file in sorted((folder / "frames").rglob("*.jpg")):
            archive.write(file, file.relative_to(folder / "frames"))

    numbers = range(len(videos))
    packed = [FrameZip(folder / "frames.zip", str(i)) for i in numbers]
    kinds = [
        Kind("raw store", [FrameStore(folder / f"{i}.npy") for i in numbers]),
        Kind(ZIP, packed),
        Kind("frame folder, JPEG", [FrameFolder(folder / "frames" / str(i)) for i in numbers]),
    ]
    for name, reader in {"PyAV": SEEKING, "decord": DECORD if decord_is_there() else None}.items():
        paths = [folder / f"{i}.mp4" for i in numbers if reader]
        if paths:
            kinds.append(
                Kind(f"video, {name}", [VideoFile(path, replace(probe(path), reader=reader)) for path in paths])
            )
    return [*kinds, Kind(f"{ZIP}, decode_on", packed, decode_late)]


def write_frames(folder: Path, frames: UInt8[Tensor, "F 3 H W"]) -> None:
    """Frames as JPEG files of quality 95."""
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{i:06d}.jpg", quality=95)


def filmed(seed: int, length: int, resolution: int, noise: float) -> UInt8[Tensor, "F 3 H W"]:
    """Moving sprites under noise of light, of this standard deviation: without any, files are smaller than filmed ones.

    Args:
        seed: Of the video.
        length: Frames.
        resolution: Their side.
        noise: Of 255.
    """
    frames = SpriteVideo(seed, length, (resolution, resolution)).read(range(length))
    rng = np.random.default_rng(seed)
    grain = noise * rng.standard_normal((length, 1, resolution, resolution), dtype=np.float32)
    return torch.from_numpy((frames.numpy() + grain).round().clip(0, 255).astype(np.uint8))


def decode_late(batch: dict[str, Any]) -> None:
    """Decodes a batch on the CUDA device, or on the host where there is none."""
    if not torch.cuda.is_available():
        batch["clip"].decoded(on_host)
        return
    device = torch.device("cuda", torch.cuda.current_device())
    batch["clip"].decoded(_decoder(device))
    torch.cuda.synchronize(device)


@functools.cache
def _decoder(device: torch.device) -> Decode:
    """Made once, since it is tried out first."""
    return decoder_for(device)


def kilobytes(source: Source) -> float | None:
    """Of a frame as it is stored."""
    if isinstance(source, FrameStore | VideoFile):
        return source.path.stat().st_size / len(source) / 1000
    data = getattr(source, "data", None)
    return None if data is None else sum(len(data(i)) for i in range(len(source))) / len(source) / 1000


def cpu_of_workers() -> float | None:
    """Seconds of processor time that child processes have spent so far; None where the system does not tell."""
    if not Path("/proc/self/stat").is_file():
        return None
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_USER]) + int(fields[_SYSTEM])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(kind: Kind, batch: int, frames: int, *, workers: int, seconds: float, target: float) -> Speed:
    """Loads batches, and decodes what they are made of, in turn.

    Args:
        kind: Of source.
        batch: Clips per batch.
        frames: Frames per clip.
        workers: Processes that load.
        seconds: For both together.
        target: Frames per second that training wants.
    """
    batches, loaded, ahead, bare = kind.batches(batch, frames, workers), Spent(), Spent(), Spent()

    def load() -> None:
        loaded_batch = next(batches)
        if kind.late:
            kind.late(loaded_batch)

    with Limits() as limits:
        decodings = kind.decodings(batch, frames, limits)
        for _ in range(2):
            load()
            run_all(next(decodings))
        before, end = cpu_of_workers(), time.perf_counter() + seconds
        while loaded.clips == 0 or time.perf_counter() < end:
            for _ in range(_PREFETCH * workers):  # these were made while the limit had its turn
                ahead.measure(load, batch)
            for _ in range(_BATCHES):
                loaded.measure(load, batch)
            for todo in [next(decodings) for _ in range(_BATCHES)]:
                bare.measure(lambda todo=todo: run_all(todo), len(todo))
        after = cpu_of_workers()
    cpu = None if workers and before is None else loaded.cpu + ahead.cpu + ((after - before) if workers else 0)
    per_core = None if cpu is None else (loaded.clips + ahead.clips) / cpu
    limit = bare.clips / bare.cpu if bare.clips else None
    return Speed(
        kind=kind.name,
        workers=workers,
        kilobytes=kilobytes(kind.sources[0]),
        clips_per_second=loaded.clips / loaded.wall,
        clips_per_core=per_core,
        limit=limit,
        share=per_core / limit if per_core and limit else None,
        cores=target / frames / per_core if per_core else None,
    )


def run_all(todo: Sequence[Decode]) -> None:
    """Decodes a batch in the bare loop."""
    for decode in todo:
        decode()


def loader(
    resolution: int = 256,
    frames: int = 3,
    batch: int = 8,
    videos: int = 8,
    length: int = 120,
    noise: float = 6.0,
    seconds: float = 3.0,
    workers: list[int] | None = None,
    target: float = 500.0,
) -> list[Speed]:
    """Makes the material and measures the loading of clips from each kind of source.

    Args:
        resolution: Side of videos and clips, pixels: no kind pays for scaling.
        frames: Frames per clip.
        batch: Clips per batch.
        videos: How many videos there are.
        length: Frames of each.
        noise: Of the videos, standard deviation of 255: makes files as large as filmed ones.
        seconds: For how long each kind is measured with each number of workers, its limit included.
        workers: Numbers of processes that load; None: 0 (this one), 1 and the number of cores.
        target: Frames per second that training wants.
    """
    if min(resolution, frames, batch, videos) < 1 or length < frames or min(workers or [0]) < 0:
        raise InputError("resolution, frames, batch, videos and length have to be positive, and length >= frames")
    if not (seconds > 0 and target > 0):
        raise InputError("seconds, target: give numbers above 0")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numbers = sorted({0, 1, cores}) if workers is None else workers
    with tempfile.TemporaryDirectory(prefix="loader-") as folder:
        kinds = make_material(Path(folder), [filmed(i, length, resolution, noise) for i in range(videos)])
        settings = {"seconds": seconds, "target": target}
        return [measure(kind, batch, frames, workers=number, **settings) for number in numbers for kind in kinds]


def table(speeds: Sequence[Speed]) -> str:
    """One line per kind of source and number of workers."""
    titles = ("workers", "kB/frame", "clips/s", "clips/s/core", "limit", "share", "cores")
    lines = [f"{'':22}" + "".join(f"{title:>14}" for title in titles)]
    for speed in speeds:
        share = "" if speed.share is None else f"{speed.share:.0%}"
        cells = [str(speed.workers), _number(speed.kilobytes), _number(speed.clips_per_second)]
        cells += [_number(speed.clips_per_core), _number(speed.limit), share, _number(speed.cores, 2)]
        lines.append(f"{speed.kind:22}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(args: Sequence[str] | None = None) -> None:
    """The command: `loader` with its arguments as flags."""
    from jsonargparse import auto_cli

    with clear_errors("benchmarks/loader.py"):
        torch.set_num_threads(1)  # as in a worker
        speeds = auto_cli(loader, args=args, as_positional=False, parser_class=Parser)
        print(table(speeds), file=sys.stderr)
        print(json.dumps([asdict(speed) for speed in speeds], indent=1))


if __name__ == "__main__":
    main()
