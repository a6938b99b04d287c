"""Tables of coordinate-aware modulation by name: each is made of a folder for runs and of seeds.

A table of another task is one more module here, and one more entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cam import points, radiance, video
from benchmarks.cam.table import Table


@dataclass(frozen=True)
class Entry:
    """A table that can be asked for.

    Attributes:
        make: Of a folder for runs and of seeds.
        seeds: Those that its gates are about.
    """

    make: Callable[[Path, Sequence[int]], Table]
    seeds: tuple[int, ...]


TABLES: dict[str, Entry] = {
    "signal": Entry(points.signal, (0, 1, 2, 3, 4)),
    "picture": Entry(points.picture, (0, 1, 2)),
    "generalisation": Entry(points.generalisation, (0, 1, 2)),
    "video": Entry(video.video, (0, 1, 2)),
    "static": Entry(radiance.static, (0, 1, 2)),
    "moving": Entry(radiance.moving, (0, 1, 2)),
}
