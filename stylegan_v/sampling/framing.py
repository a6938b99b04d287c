"""Size and part of the frames of a file: the whole, one zoom, or a path of zooms over its length.

Between two way points of a path all edges of the window move together, so a point of the picture rests on the screen
all the while and the window stays inside. With l the share of the window in the frame, 1 / factor, the centre is

    c(s) = c_0 + (c_1 - c_0) (l(s) - l_0) / (l_1 - l_0),    log l(s) = (1 - s) log l_0 + s log l_1,

where s goes from 0 to 1, slower at both ends; without magnification, c goes straight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from errors import InputError
from fields.upscaling.views import Zoom, parse_target
from generate_options import Options
from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import View

_MAX_SIDE = 65_536  # no format of files that are written here has larger frames
_MAX_FACTOR = 1e6
_MAX_POINTS = 1000
_SAME = 1e-9  # difference of logarithms of factors
_WHOLE = (Zoom(0.5, 0.5, 1.0),)


@dataclass(frozen=True)
class Request:
    """Which size and part flags ask for.

    Attributes:
        size: Height and width of frames; None: those of the model.
        path: Way points of the zoom; one stands still, none is the whole frame.
        tile: Largest side of what is drawn at once, if told.
    """

    size: tuple[int, int] | None = None
    path: tuple[Zoom, ...] = ()
    tile: int | None = None


@dataclass(frozen=True)
class Framing:
    """What frames of a file show of those of the model.

    Attributes:
        resolution: Height and width of the frames that the model was trained for.
        shape: Height and width of frames of the file.
        path: Way points of the zoom, as they were asked for; none is the whole frame.
        closed: Whether the first frame comes again after the last.
    """

    resolution: tuple[int, int]
    shape: tuple[int, int]
    path: tuple[Zoom, ...] = ()
    closed: bool = False

    def view(self, frame: int, num_frames: int) -> View:
        """What a frame of the file shows.

        Args:
            frame: Its number.
            num_frames: Of the file.
        """
        zoom = _along(self.path or _WHOLE, frame / max(1, num_frames if self.closed else num_frames - 1))
        return View.zoomed(self.resolution, self.shape, (zoom.x, zoom.y), zoom.factor)

    def settings(self) -> dict[str, Any]:
        """It in plain values: height and width, and (x, y, factor) of the way points."""
        zoom = {"zoom": [[point.x, point.y, point.factor] for point in self.path]} if self.path else {}
        return {"size": list(self.shape), **zoom}


def parse(options: Options) -> Request:
    """What flags ask for.

    Raises:
        InputError: What cannot be.
    """
    size = None if options.size is None else parse_target(None, options.size, None).size
    if size is not None and max(size) > _MAX_SIDE:
        raise InputError(f"size: {options.size}: give at most {_MAX_SIDE} pixels to a side")
    points = [] if options.zoom is None else options.zoom.split(":")
    if len(points) > _MAX_POINTS:
        raise InputError(f"zoom: {len(points)} way points: give at most {_MAX_POINTS}")
    path = tuple(parse_target(None, None, point).zoom for point in points)
    if any(point.factor > _MAX_FACTOR for point in path):
        raise InputError(f"zoom: {max(point.factor for point in path):g}: give factors up to {_MAX_FACTOR:g}")
    return Request(size, path, options.tile)


def choose_framing(generator: Generator, request: Request, *, closed: bool = False) -> Framing | None:
    """What frames show; None where they are those of the model as they are.

    Args:
        generator: The model.
        request: What is asked for.
        closed: Whether the first frame comes again after the last.

    Raises:
        InputError: The model has one size alone, or a path does not close.
    """
    framing = Framing(generator.resolution, request.size or generator.resolution, request.path, closed)
    if closed and request.path and request.path[0] != request.path[-1]:
        raise InputError(
            "zoom: a loop ends where it begins: let the path end at its first way point, as in a:b:a for a:b"
        )
    whole = set(framing.path) <= set(_WHOLE)
    if framing.shape == framing.resolution and whole and request.tile is None:
        return None
    if generator.decoder is None:
        key = "size" if request.size else "zoom" if request.path else "tile"
        height, width = generator.resolution
        raise InputError(
            f"{key}: the model has no field decoder and draws {width}x{height} alone: fine-tune it with one "
            "(configs/stylegan_v_field/*.yaml), or enlarge its files by generate.py upscale"
        )
    return framing


def _inside(zoom: Zoom) -> Zoom:
    """The same part, its centre where it is once the window is moved inside of the picture."""
    half = 0.5 / zoom.factor
    x, y = (min(max(centre, half), 1 - half) for centre in (zoom.x, zoom.y))
    return Zoom(x, y, zoom.factor)


def _along(path: Sequence[Zoom], done: float) -> Zoom:
    """Where the path is when so much of it is done; way points are equally far apart in time."""
    if len(path) == 1:
        return path[0]
    place = min(int(done * (len(path) - 1)), len(path) - 2)
    return _between(_inside(path[place]), _inside(path[place + 1]), done * (len(path) - 1) - place)


def _between(start: Zoom, stop: Zoom, share: float) -> Zoom:
    share = share * share * (3 - 2 * share)
    ratio = math.log(stop.factor / start.factor)
    factor = start.factor * math.exp(share * ratio)
    way = math.expm1(-share * ratio) / math.expm1(-ratio) if abs(ratio) > _SAME else share
    return Zoom(start.x + way * (stop.x - start.x), start.y + way * (stop.y - start.y), max(factor, 1.0))
