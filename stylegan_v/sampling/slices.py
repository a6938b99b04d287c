"""Slices through videos: one row or column of pixels over time, a picture by which motion can be judged at a glance.

Even motion draws slanted lines, a standstill draws lines along time, a jump tears them, and what repeats is seen twice.

Shape legend
    B       videos
    F       frames of a video, f of a chunk
    H, W    height and width of a frame
    S       pixels of the slice: W of a row, H of a column
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from datasets.video_writer import tile, write_image
from errors import InputError
from stylegan_v.sampling.outputs import Save


@dataclass(frozen=True)
class Line:
    """A row or a column of pixels, the same in all frames.

    Attributes:
        across: Whether it is a row.
        place: Which, from the top or the left.
    """

    across: bool
    place: int

    def take(self, frames: UInt8[Tensor, "B f 3 H W"]) -> UInt8[Tensor, "f B 3 S"]:
        """This line of every frame."""
        return rearrange(frames[..., self.place, :] if self.across else frames[..., self.place], "b f c s -> f b c s")

    def settings(self) -> dict[str, Any]:
        """It in plain values."""
        return {"row" if self.across else "column": self.place}


def choose_line(resolution: tuple[int, int], row: int | None, column: int | None) -> Line:
    """The line that is asked for; the row in the middle where none is.

    Raises:
        InputError: Both a row and a column, or one outside of the frame.
    """
    if row is not None and column is not None:
        raise InputError("column: row is given as well: give one of the two")
    height, width = resolution
    line = Line(True, height // 2 if row is None else row) if column is None else Line(False, column)
    name, size = ("row", height) if line.across else ("column", width)
    if not 0 <= line.place < size:
        raise InputError(f"{name}: {line.place}: frames have {name}s 0 to {size - 1}")
    return line


def image_saver(line: Line, columns: int | None = None) -> Save:
    """What writes lines [f, B, 3, S] as one picture, the videos tiled; time goes down for rows, right for columns.

    Args:
        line: What they are.
        columns: Videos per row.
    """

    def save(path: Path, lines: Iterator[Tensor], settings: dict[str, Any]) -> None:
        pattern = "f b c s -> b 1 c f s" if line.across else "f b c s -> b 1 c s f"
        write_image(path, tile(rearrange(torch.cat(list(lines)), pattern), columns)[0], metadata=settings)

    return save
