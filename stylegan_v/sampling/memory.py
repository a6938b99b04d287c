"""How many frames are rendered at once: as many as fit, and fewer when they turn out not to.

Shape legend
    B       videos rendered side by side
    F       frames of a whole video, f of one chunk
    H, W    height and width
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor
from tqdm import tqdm

from errors import InputError
from stylegan_v.networks import Generator

Render = Callable[[Tensor, int], Iterator[Tensor]]  # times [F] and a chunk size to frames [B, f, 3, H, W], bytes

_SHARE = 0.5  # of the free memory: other programs want some, too
_COPIES = 8  # of the largest features; at 256 px on a CPU, 3 are alive at once in networks that are not folded
_MOST = {"cpu": 16, "cuda": 64}  # beyond which nothing gets faster
_MEMINFO, _UNTOLD = Path("/proc/meminfo"), 2**31
_PIXEL_BYTES = 64  # that a view takes for each pixel beside the features, about: four images of floats, and bytes
_TILE_BYTES = 2**28  # beyond which larger tiles are not faster
_LEAST_TILE = 64
_FRAME_COPIES = 4  # of a frame in bytes: as it is drawn, side by side with others, converted, and in an encoder
_NO_MEMORY = ("can't allocate memory", "not enough memory")  # what the allocator of the CPU says, in a RuntimeError


@dataclass
class Chunk:
    """Frames rendered at once, of all videos together; it shrinks where memory runs out.

    Attributes:
        frames: How many.
    """

    frames: int

    def render(self, make: Render, t: Float64[Tensor, " F"]) -> Iterator[UInt8[Tensor, "B f 3 H W"]]:
        """All frames in order; what did not fit into memory is begun again in smaller parts.

        Raises:
            InputError: A single frame does not fit.
        """
        done = 0
        while done < len(t):
            try:
                for frames in make(t[done:], self.frames):
                    yield frames
                    done += frames.shape[1]
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._halve(error)

    def _halve(self, error: Exception) -> None:
        if self.frames == 1:
            raise InputError("chunk: a single frame does not fit into the device's memory: try --device cpu") from error
        self.frames //= 2
        tqdm.write(f"chunk: out of memory: going on with {self.frames} frames at once", file=sys.stderr)


def choose_chunk(generator: Generator, asked: int | str) -> Chunk:
    """The number asked for; of "auto", a power of two that half of the free memory holds, not larger than useful.

    Powers of two, so that the number, on which the last digits of frames depend, is mostly the same on one machine.
    """
    if asked != "auto":
        return Chunk(int(asked))
    device = generator.mapping.w_avg.device
    fitting = int(_SHARE * free_memory(device) / frame_memory(generator))
    chosen = max(1, min(fitting, _MOST.get(device.type, _MOST["cpu"])))
    return Chunk(1 << (chosen.bit_length() - 1))


def frame_memory(generator: Generator) -> int:
    """Bytes that rendering takes for each frame at once, about."""
    largest = max(level.channels * level.height * level.width for level in generator.synthesis.levels)
    return _COPIES * largest * generator.mapping.w_avg.element_size()


def choose_tile(shape: tuple[int, int], asked: int | None, device: torch.device) -> int | None:
    """Side of the tiles that frames are drawn in: the one asked for, else a power of two that memory allows.

    Args:
        shape: Height and width of frames.
        asked: The side, if told.
        device: Where they are drawn.

    Returns:
        None where frames are drawn whole.
    """
    if asked is not None:
        return asked
    allowed = min(_TILE_BYTES, int(_SHARE * free_memory(device)))
    if _PIXEL_BYTES * math.prod(shape) <= allowed:
        return None
    return max(_LEAST_TILE, 1 << (math.isqrt(allowed // _PIXEL_BYTES).bit_length() - 1))


def check_size(shape: tuple[int, int], num_videos: int) -> None:
    """Refuses frames that the machine cannot hold, even one at a time.

    Args:
        shape: Height and width of a video.
        num_videos: How many share a file.

    Raises:
        InputError: They are too large.
    """
    needed, free = _FRAME_COPIES * 3 * math.prod(shape) * num_videos, free_memory(torch.device("cpu"))
    if needed > _SHARE * free:
        raise InputError(
            f"size: {shape[1]}x{shape[0]} for {num_videos} videos side by side takes {needed / 1e9:.2g} GB of memory, "
            f"and {free / 1e9:.2g} GB are free: give a smaller one, or fewer videos"
        )


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    # What the system could give, files that it caches included; not every system tells.
    available = re.search(r"MemAvailable:\s*(\d+) kB", _MEMINFO.read_text()) if _MEMINFO.exists() else None
    return 1024 * int(available[1]) if available else _UNTOLD


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _NO_MEMORY)
