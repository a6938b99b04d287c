"""Videos that are compared, in pairs, and the files that are left; the only part that knows where frames come from.

Shape legend
    F       frames of a chunk
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from datasets.files import atomic_path, sync, to_json
from datasets.index import VideoIndex, scan
from datasets.sources import Frames, Source, decode_image
from errors import InputError
from fields.reconstruction.frames import from_bytes

JSON, PICTURE = "reconstruction.json", "reconstruction.png"


@dataclass(frozen=True)
class Pair:
    """A reconstructed video and its original.

    Attributes:
        name: For the report.
        result: What was reconstructed.
        reference: The original.
    """

    name: str
    result: Source
    reference: Source

    def check(self) -> None:
        """Refuses videos of different lengths or sizes."""
        if len(self.result) != len(self.reference):
            raise InputError(
                f"{self.name}: the result has {len(self.result)} frames, the reference {len(self.reference)}: "
                "give videos of one length"
            )
        if self.result.size != self.reference.size:
            (height, width), (other_height, other_width) = self.result.size, self.reference.size
            raise InputError(
                f"{self.name}: the result's frames are {height}x{width}, the reference's {other_height}x{other_width}: "
                "give videos of one size"
            )

    def chunks(self, chunk: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Result and reference in [0, 1], in order.

        Args:
            chunk: Frames in memory together.
            device: Where they are brought.
        """
        for start in range(0, len(self.reference), chunk):
            times = range(start, min(start + chunk, len(self.reference)))
            yield _read(self.result, times).to(device), _read(self.reference, times).to(device)


def pairs_of(result: str | Path, reference: str | Path, cache_dir: str | Path | None = None) -> list[Pair]:
    """The videos below two roots side by side: the only one of each, or those of one name.

    Args:
        result: A video file, a folder of frames, or a folder or zip with several of them.
        reference: Likewise.
        cache_dir: Where the scan of a root is remembered. None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        InputError: A root or video cannot be used, or videos do not match.
    """
    results, references = (_scan(root, cache_dir) for root in (result, reference))
    if len(results.videos) == len(references.videos) == 1:
        pairs = [Pair(_title(reference, references), results.open(0), references.open(0))]
    else:
        made, wanted = _by_name(result, results), _by_name(reference, references)
        if "." in made or "." in wanted:  # frames that lie in the root itself
            raise InputError(
                f"{result} has {len(made)} videos, {reference} has {len(wanted)}, one of them frames in the folder "
                "itself: give two videos, or two folders of videos"
            )
        for here, there, root in ((wanted, made, result), (made, wanted, reference)):
            if lacking := [name for name in here if name not in there]:
                raise InputError(f"{root}: has no video {lacking[0]}, which the other side has: name them alike")
        pairs = [Pair(name, results.open(made[name]), references.open(wanted[name])) for name in wanted]
    for pair in pairs:
        pair.check()
    return pairs


def save(folder: Path, report: dict[str, Any], picture: Image.Image) -> None:
    """Leaves report and picture in a folder, each whole or not at all."""
    with atomic_path(folder / JSON) as temporary:
        temporary.write_bytes(to_json(report))
        sync(temporary)
    with atomic_path(folder / PICTURE) as temporary:
        picture.save(temporary, format="png")
        sync(temporary)


def _scan(root: str | Path, cache_dir: str | Path | None) -> VideoIndex:
    index = scan(root, cache_dir=cache_dir, progress=False, random_access=False)
    if index.skipped:  # an average over the others would not be that of the data set
        first = index.skipped[0]
        raise InputError(f"{root}: {first.name}: {first.reason}: mend or remove it")
    return index


def _title(root: str | Path, index: VideoIndex) -> str:
    name = index.videos[0].name
    return Path(root).expanduser().resolve().name if name == "." else name


def _by_name(root: str | Path, index: VideoIndex) -> dict[str, int]:
    """Numbers of the videos by their names without suffix, so that a file can be compared with a folder of frames."""
    found: dict[str, int] = {}
    for number, video in enumerate(index.videos):
        name = str(Path(video.name).with_suffix("")) if video.kind == "video" else video.name
        if name in found:
            raise InputError(f"{root}: has two videos {name}: rename one")
        found[name] = number
    return found


def _read(source: Source, times: Sequence[int]) -> Float32[Tensor, "F 3 H W"]:
    """Frames of a video in [0, 1]; of images, no damaged one is replaced and none resized, as training would do."""
    if not isinstance(source, Frames):
        return from_bytes(source.read(times))
    return from_bytes(torch.from_numpy(np.stack([_frame(source, time) for time in times])))


def _frame(source: Frames, time: int) -> np.ndarray:
    """One frame, uint8 [3, H, W].

    Raises:
        InputError: It cannot be decoded, or has another size than the first.
    """
    try:
        frame = decode_image(source.data(time))
    except OSError as error:
        raise InputError(f"{source.name}: frame {time} cannot be decoded ({error}): mend it") from error
    if frame.shape[:2] != source.size:
        height, width = source.size
        raise InputError(
            f"{source.name}: frame {time} is {frame.shape[0]}x{frame.shape[1]}, the first {height}x{width}: "
            "give frames of one size"
        )
    return np.ascontiguousarray(frame.transpose(2, 0, 1))
