"""How much memory pictures take: how large tiles may be, and which results are too large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from errors import InputError
from fields.continuous_image import ContinuousImage
from fields.upscaling.tiling import Cut
from fields.upscaling.views import View

TILE_BYTES = 2**31  # that features of a tile may take; the same on every machine, so that results are
_LEAST_SHARE = 3  # a tile is at least so many margins wide: with less, most of what is computed is margin
_PROBE = 8  # pixels to a side that features are measured on
_ALIVE = 2  # a layer's input and output, while another's wait for it
_SHARE = 0.8  # of the free memory that one picture may take
_COPIES = 3  # of a result: as it is made, as a picture, and compressed
_MEMINFO, _UNTOLD = Path("/proc/meminfo"), 2**33


def free_memory(device: torch.device | None = None) -> int:
    """Bytes that are free on a device, or in the machine."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    # What the system could give, files that it caches included; not every system tells.
    available = re.search(r"MemAvailable:\s*(\d+) kB", _MEMINFO.read_text()) if _MEMINFO.exists() else None
    return 1024 * int(available[1]) if available else _UNTOLD


@torch.no_grad()
def pixel_bytes(model: ContinuousImage) -> float:
    """Bytes that encoding takes for each pixel of the source, about."""
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, _PROBE, _PROBE, device=device)
    with _largest_layer(model) as largest:
        features = model.encode(image)
        prepared = model.prepare(features)
    around = features.nbytes + prepared.nbytes
    return _ALIVE * max(around, largest[0]) / _PROBE**2


@contextmanager
def _largest_layer(model: nn.Module) -> Iterator[list[int]]:
    """Bytes of the input and output of the layer with the most, once the context ends."""
    largest = [0]

    def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        largest[0] = max(largest[0], sum(one.nbytes for one in (*inputs, output)))

    handles = [part.register_forward_hook(measure) for part in model.modules() if not list(part.children())]
    try:
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def choose_cut(model: ContinuousImage, view: View, tile: int | None, overlap: int | None) -> Cut:
    """How an image is cut: not at all where that fits into `TILE_BYTES`, or where the encoder needs all of it.

    Args:
        model: On its device.
        view: What is shown of the image.
        tile: Side of a tile in pixels, if told.
        overlap: Pixels of margin around it, if told; None: all that features depend on.

    Raises:
        InputError: The encoder needs all of the image, and tiles are asked for, or it does not fit into memory.
    """
    for key, value, least in (("tile", tile, 1), ("overlap", overlap, 0)):
        if value is not None and value < least:
            raise InputError(f"{key}: {value}: give a number of pixels from {least} on")
    margin = model.receptive_field if overlap is None else overlap
    if margin is None:
        return _uncut(model, (view.rows.length, view.columns.length), tile)
    if tile is None:
        side = int((TILE_BYTES / pixel_bytes(model)) ** 0.5)
        shown = max(axis.count * axis.step for axis in (view.rows, view.columns))
        tile = max(side, _LEAST_SHARE * margin) - 2 * margin if shown + 2 * margin > side else None
    return Cut(tile, margin)


def _uncut(model: ContinuousImage, size: tuple[int, int], tile: int | None) -> Cut:
    encoder = type(model.encoder).__name__
    if tile is not None:
        raise InputError(
            f"tile: {encoder} looks at the whole image at once, so that tiles would differ from it: leave --tile out, "
            "or accept that by giving --overlap 32, too"
        )
    needed, free = size[0] * size[1] * pixel_bytes(model), free_memory(next(model.parameters()).device)
    if needed > _SHARE * free:
        raise InputError(
            f"tile: {encoder} looks at the whole image at once, which takes about {_gb(needed)} of memory for "
            f"{size[1]}x{size[0]} pixels, and {_gb(free)} are free: give --tile 256 --overlap 32 for nearly the same"
        )
    return Cut(None, None)


def check_result(size: tuple[int, int], bytes_per_pixel: int, what: str) -> None:
    """Refuses a result that the machine cannot hold.

    Args:
        size: Its height and width.
        bytes_per_pixel: Of the result.
        what: Whose result, for the message.

    Raises:
        InputError: It is too large.
    """
    needed, free = _COPIES * bytes_per_pixel * size[0] * size[1], free_memory()
    if needed > _SHARE * free:
        raise InputError(
            f"scale: {what} would get {size[1]:.6g}x{size[0]:.6g} pixels, for which about {_gb(needed)} of memory are "
            f"needed and {_gb(free)} are free: ask for less"
        )


def _gb(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.2g} GB"
