"""Which videos a command shows, how its files are called, and how many share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import UInt8
from torch import Tensor

from datasets.video_writer import tile
from errors import InputError
from generate_options import NUM_SEEDS, Several
from stylegan_v.sampling.latents import Video
from stylegan_v.sampling.lists import numbers, size


@dataclass(frozen=True)
class Choice:
    """The videos of a command.

    Attributes:
        videos: Their addresses.
        names: Of their files.
        grid: Whether they share one file.
        columns: Of that file's grid; None: as many as there are rows, or one more.
        motions: Whose motion each of them shows; None: its own.
        shared_name: Of the file that they share.
    """

    videos: tuple[Video, ...]
    names: tuple[str, ...]
    grid: bool
    columns: int | None = None
    motions: tuple[Video, ...] | None = None
    shared_name: str = "grid"

    @property
    def name(self) -> str:
        """Of the file that shows them all."""
        return self.shared_name if self.grid or len(self.names) > 1 else self.names[0]

    def called(self, kind: str) -> Choice:
        """The same, in files whose names say what they show of the videos."""
        names = tuple(f"{kind}_of_{name}" for name in self.names)
        return replace(self, names=names, shared_name=f"{kind}_grid")

    def only(self, place: int) -> Choice:
        """One of the videos, in a file of its own."""
        motions = None if self.motions is None else self.motions[place : place + 1]
        return Choice(self.videos[place : place + 1], self.names[place : place + 1], False, motions=motions)


def choose(seed: int, several: Several) -> Choice:
    """The videos that are asked for.

    Args:
        seed: Of videos that are named by their number.
        several: Which they are.

    Raises:
        InputError: There is no such list, or it is too long for the grid.
    """
    rows, columns = size(several.grid, "grid") if isinstance(several.grid, str) else (None, None)
    if several.seeds is not None:
        chosen = [Video(number, 0) for number in numbers(several.seeds, "seeds", below=NUM_SEEDS)]
        names = [f"seed_{video.seed:05d}" for video in chosen]
    else:
        listed = several.videos is not None
        count = range(several.num_videos or (rows * columns if rows else 1))
        chosen = of_seed(seed, several.videos, "videos") if listed else [Video(seed, number) for number in count]
        names = [f"video_{video.number:05d}" for video in chosen]
    if len(set(names)) < len(names) and not several.grid:
        raise InputError("videos: a video is named twice, whose files would have one name: name each once")
    if rows and len(chosen) > rows * columns:
        raise InputError(f"grid: {several.grid} has no place for {len(chosen)} videos: give a larger one")
    return Choice(tuple(chosen), tuple(names), bool(several.grid), columns)


def of_seed(seed: int, text: str | int, key: str) -> list[Video]:
    """The videos of a list of numbers."""
    return [Video(seed, number) for number in numbers(text, key, below=NUM_SEEDS)]


def addresses(videos: Sequence[Video]) -> list[str]:
    """Videos as they stand in settings: ``seed:number``."""
    return [f"{video.seed}:{video.number}" for video in videos]


def side_by_side(frames: UInt8[Tensor, "B f 3 H W"], columns: int | None = None) -> UInt8[Tensor, "f 3 h w"]:
    """Frames of videos as frames of one file."""
    return frames[0] if len(frames) == 1 else tile(frames, columns)
