"""Clips that stay files until they are on their device: workers read and draw, the training process decodes.

Everything that is drawn for a clip is drawn where and as it would be otherwise; only decoding, cutting, scaling and
mirroring come later, in this order. So the same clips are seen, and the frames are the same up to what two decoders
make of a file.

Shape legend
    B, T    clips, frames of a clip
    H, W    height and width of a source; h, w those of the clips
    _       bytes of a file
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from datasets.clips import Framing, SparseClips
from datasets.sources import Frames, Source, decode_image, needs_turning
from errors import InputError

Decode = Callable[[list[UInt8[Tensor, " _"]]], list[UInt8[Tensor, "3 H W"]]]
"""What makes frames of the bytes of JPEG files, all on one device."""

_END = b"\xff\xd9"
_PADDING = 64  # bytes that may follow the end
_INSTEAD = "give data.decode_on: worker"


class NotForDecoding(InputError):
    """A frame that only workers can decode."""


@dataclass(frozen=True)
class EncodedClip:
    """One clip that is not decoded yet.

    Attributes:
        files: Content of the JPEG files of its frames.
        framing: What the clip shows of them.
    """

    files: list[bytes]
    framing: Framing


class EncodedClips(SparseClips):
    """`SparseClips` whose items hold an `EncodedClip` instead of frames; to be put together by `collate`."""

    fatal = (NotForDecoding,)

    def _frames(self, source: Source, times: list[int]) -> list[bytes]:
        return jpeg_files(source, times)

    def _shown(self, frames: list[bytes], framing: Framing) -> EncodedClip:
        return EncodedClip(frames, framing)


class EncodedBatch:
    """The clips of a batch, not decoded yet.

    No tensor and no dataclass, so that Lightning leaves it on the host, where decoders want the bytes; they are one
    tensor, which is handed from a worker to the training process at once.

    Args:
        clips: Of the batch, each with as many frames.
    """

    def __init__(self, clips: Sequence[EncodedClip]) -> None:
        files = [file for clip in clips for file in clip.files]
        self.data = torch.frombuffer(bytearray(b"".join(files)), dtype=torch.uint8)
        self.sizes = [len(file) for file in files]
        self.framings = [clip.framing for clip in clips]

    def decoded(self, decode: Decode) -> UInt8[Tensor, "B T 3 h w"]:
        """The clips, on the device on which ``decode`` puts frames."""
        frames = decode(list(self.data.split(self.sizes)))
        num_frames = len(frames) // len(self.framings)
        clips = [torch.stack(frames[i : i + num_frames]) for i in range(0, len(frames), num_frames)]
        return torch.stack([framing(clip) for framing, clip in zip(self.framings, clips, strict=True)])


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of the items of `EncodedClips`: tensors, and an `EncodedBatch` as clip."""
    others = [{name: value for name, value in item.items() if name != "clip"} for item in items]
    return {"clip": EncodedBatch([item["clip"] for item in items]), **default_collate(others)}


def jpeg_files(source: Source, times: Sequence[int]) -> list[bytes]:
    """Content of the JPEG files of frames; a damaged one is replaced by its neighbour, with a warning.

    Raises:
        NotForDecoding: The source has no JPEG files, or some that cannot be put beside each other as they are.
    """
    if not isinstance(source, Frames):
        name = getattr(source, "path", type(source).__name__)
        raise NotForDecoding(f"{name}: holds no JPEG files; {_INSTEAD}, or prepare a store of JPEG frames")
    size = source.size
    found = {time: source.nearest(time, lambda data: _plain(data, size, source.name)) for time in sorted(set(times))}
    return [found[time] for time in times]


def _plain(data: bytes, size: tuple[int, int], name: str) -> bytes:
    """The bytes of a whole JPEG file of this size that need no turning.

    Raises:
        OSError: It is damaged.
    """
    try:
        with Image.open(io.BytesIO(data)) as header:
            kind, found = header.format, (header.height, header.width)
            turned = kind == "JPEG" and needs_turning(header)
    except (Image.UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from error
    if kind != "JPEG":
        raise NotForDecoding(f"{name}: holds a frame of kind {kind}, not JPEG; {_INSTEAD}")
    if turned or found != size:
        what = "that its metadata turn" if turned else f"of {found[0]}x{found[1]} among those of {size[0]}x{size[1]}"
        raise NotForDecoding(f"{name}: holds a frame {what}; {_INSTEAD}")
    if _END not in data[-_PADDING:]:
        decode_image(data)  # decides whether it is cut off
    return data
