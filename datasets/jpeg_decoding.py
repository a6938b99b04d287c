"""Decoders of JPEG files for the training process: the workers' own, and torchvision's on a CUDA device (nvJPEG).

The two agree to rounding on files with full colour (4:4:4). Most files keep colour at half the resolution (4:2:0):
there Pillow interpolates it, and nvJPEG as torchvision sets it up repeats it, so that edges of colours differ visibly.
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before torchvision)

# isort: split
import functools
import io
import logging

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin
from torch import Tensor

from datasets.encoded_clips import Decode
from datasets.sources import decode_image
from errors import InputError

_log = logging.getLogger(__name__)
FULL_COLOUR = 0  # as Pillow numbers the ways to keep it


def on_host(files: list[UInt8[Tensor, " _"]]) -> list[UInt8[Tensor, "3 H W"]]:
    """Frames of files as the workers decode them, on the host.

    Raises:
        InputError: One cannot be decoded.
    """
    try:
        decoded = [decode_image(file.numpy().tobytes()) for file in files]
    except OSError as error:
        raise InputError(f"a frame cannot be decoded ({error}); data.decode_on: worker passes over such") from error
    # Copies: what Pillow gives cannot be written to.
    return [torch.from_numpy(rearrange(frame, "h w c -> c h w").copy()) for frame in decoded]


def on_device(files: list[UInt8[Tensor, " _"]], device: torch.device) -> list[UInt8[Tensor, "3 H W"]]:
    """Frames of files, decoded where they are needed; what torchvision refuses is decoded on the host, with a warning.

    Args:
        files: On the host.
        device: A CUDA device.

    Raises:
        InputError: One cannot be decoded there either.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        return decode_jpeg(files, mode=ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        # All or nothing: it does not say which one, and a run should not end for the one batch in which it is.
        _log.warning("torchvision cannot decode a batch, which is decoded on the host instead: %s", _first_line(error))
        return [frame.to(device, non_blocking=True) for frame in on_host(files)]


def decoder_for(device: torch.device) -> Decode:
    """The decoder of a device.

    Raises:
        InputError: It is no CUDA device, or this torchvision decodes nothing there.
    """
    if device.type != "cuda":
        raise InputError(f"data.decode_on: device needs a CUDA device, training runs on {device.type}; give worker")
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        decode_jpeg([_bytes(grey_file())], mode=ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        raise InputError(
            f"data.decode_on: torchvision decodes no JPEG on {device} ({_first_line(error)}); give worker"
        ) from error
    return functools.partial(on_device, device=device)


def keeps_full_colour(data: bytes) -> bool:
    """Whether a JPEG file keeps colour at the resolution of light."""
    with Image.open(io.BytesIO(data)) as header:
        return JpegImagePlugin.get_sampling(header) == FULL_COLOUR


def grey_file() -> bytes:
    """A small JPEG file to try decoders with."""
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (128, 128, 128)).save(data, "JPEG")
    return data.getvalue()


def _bytes(data: bytes) -> UInt8[Tensor, " N"]:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
