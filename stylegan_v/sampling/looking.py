"""Frames of a generator with a decoder in any views: the backbone draws each of them once, tiles are seen of it.

Of a frame no more than a tile is held in floating point, whatever its size.

Shape legend
    B       videos that share a file
    F       moments, f of them at a time
    H, W    height and width of the views
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import Canvas, View
from stylegan_v.networks.folding import FoldedSynthesis, can_fold
from stylegan_v.rendering import VideoLatents, tiles, to_uint8

Draw = Callable[[Tensor], list[Canvas]]  # times [f] to what is drawn then, of each video


@torch.no_grad()
def draw_videos(generator: Generator, latents: VideoLatents) -> Draw:
    """What draws videos whose content stays.

    Args:
        generator: The network; it has a decoder.
        latents: What the videos show.
    """
    synthesis, ws = generator.synthesis, latents.ws
    path = synthesis.motion.path(latents.motion.window, latents.c)
    folded = FoldedSynthesis(synthesis, ws[0]) if len(ws) == 1 and can_fold(synthesis) else None

    def draw(t: Tensor) -> list[Canvas]:
        motion_v = path(t).to(ws.device)
        if folded is not None:
            return [folded.canvas(motion_v[0])]
        return [synthesis.draw(ws[n : n + 1], motion_v[n : n + 1], noise_mode="const") for n in range(len(ws))]

    return draw


@torch.no_grad()
def look(
    draw: Draw, num_videos: int, t: Float64[Tensor, " F"], views: Iterable[View], chunk: int, tile: int | None = None
) -> Iterator[UInt8[Tensor, "B f 3 H W"]]:
    """The frames in order, a few of every video at a time.

    Args:
        draw: What draws them.
        num_videos: B.
        t: Times.
        views: One for each time, all of one shape.
        chunk: Largest number of frames, of all videos together, that the network works on at once. Of views that are
            larger than native, fewer are given out at once.
        tile: Largest side of what is looked at in one go; None: all of a view.
    """
    few, views = max(1, chunk // num_videos), iter(views)
    for times in t.split(few):
        canvases, start = draw(times), 0
        native = math.prod(canvases[0].decoder.inputs.resolution)
        for view, group in groupby(islice(views, len(times))):
            most = max(1, few * native // max(native, math.prod(view.shape)))
            stop = start + len(list(group))
            while start < stop:
                some = slice(start, min(start + most, stop))
                yield _seen([one[some] for one in canvases], view, tile)
                start = some.stop


def _seen(canvases: Sequence[Canvas], view: View, tile: int | None) -> UInt8[Tensor, "B f 3 H W"]:
    """Frames of one view, tile by tile; whole frames stand in the memory of the host."""
    frames = torch.empty(len(canvases), len(canvases[0].rgb), 3, *view.shape, dtype=torch.uint8)
    for y0, x0, y1, x1 in tiles(view.shape, tile or max(view.shape)):
        part = replace(view, window=(y0, x0, y1, x1))
        for video, canvas in enumerate(canvases):
            frames[video, :, :, y0:y1, x0:x1] = to_uint8(canvas.look(part))
    return frames
