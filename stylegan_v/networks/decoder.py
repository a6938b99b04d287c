"""The generator's head that makes frames functions of (x, y): what is asked of it, and what every kind of it shares.

The backbone draws as it always did. Its RGB image, sampled by an interpolating cubic kernel, is the base; a decoder
adds a residual, which it reads from the features one resolution below. Where pixels are is `view`'s matter.

Shape legend
    N       frames of all videos, folded
    C, h, w channels, height and width of the features
    H, W    height and width of the native frame
    Y, X    height and width of a window
    D, V    dimensions of a style and of a time embedding
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from stylegan_v.networks.geometry import center_crop
from stylegan_v.networks.view import View
from stylegan_v.ops.bicubic import resample, taps

Mode = Literal["residual", "replace_last_block"]
# Memory for the features of pixels: on a CPU less than the 32 MiB above which glibc gives blocks back to the system,
# with what windows share with their neighbours (512 px take 5 % less time than with 8 MiB); of a GPU a small part.
_CPU_BYTES, _DEVICE_BYTES = 24 * 2**20, 2**30
_LEAST_ROWS = 16  # fewer are not worth what windows share with their neighbours
Prepared = tuple[Tensor, ...]  # what a decoder computes once for each frame; frames first in all of them


@dataclass(frozen=True)
class DecoderInputs:
    """What a decoder is built for: sizes that follow from the generator.

    Attributes:
        channels: C.
        feature_size: (h, w).
        resolution: (H, W), at most twice the size of the features; the frame is the middle of that.
        style_dim: D.
        motion_dim: V.
    """

    channels: int
    feature_size: tuple[int, int]
    resolution: tuple[int, int]
    style_dim: int
    motion_dim: int

    @property
    def margin(self) -> tuple[int, int]:
        """Rows above and columns before the frame that are cropped, in native pixels."""
        top, left = ((2 * n - side) // 2 for n, side in zip(self.feature_size, self.resolution, strict=True))
        return top, left

    def in_features(self, places: Float64[Tensor, " n"], axis: int) -> Float64[Tensor, " n"]:
        """Rows (columns) of the native frame as those of an image of half the working size, as the features are."""
        return (places + self.margin[axis] + 0.5) / 2 - 0.5


class Decoder(nn.Module, ABC):
    """Features of the backbone to what is added to its image, at any size.

    Attributes:
        values_per_pixel: Values that are held for each pixel of a window at once.

    Args:
        inputs: Sizes of the generator it belongs to.
        mode: Add to the native image of the whole backbone ("residual"), or do without its last block and add to the
            image of the blocks before it ("replace_last_block").
    """

    values_per_pixel = 64

    def __init__(self, inputs: DecoderInputs, mode: Mode = "residual") -> None:
        super().__init__()
        self.inputs, self.mode = inputs, mode

    @abstractmethod
    def prepare(
        self, features: Float[Tensor, "N C h w"], ws: Float[Tensor, "M D"], motion_v: Float[Tensor, "N V"]
    ) -> Prepared:
        """What does not depend on the view.

        Args:
            features: After the last convolution at half the working size.
            ws: Style of each video, or of each frame.
            motion_v: Time embeddings.
        """

    @abstractmethod
    def query(self, prepared: Prepared, view: View) -> Float[Tensor, "N 3 Y X"]:
        """What is added to the image.

        Args:
            prepared: Of some frames.
            view: Not below native size along either axis.
        """

    def forward(
        self,
        features: Float[Tensor, "N C h w"],
        rgb: Float[Tensor, "N 3 a b"],
        ws: Float[Tensor, "M D"],
        motion_v: Float[Tensor, "N V"],
    ) -> Canvas:
        """Frames that can be looked at.

        Args:
            features: As for `prepare`.
            rgb: Image of the backbone, of working size, or half of it where the last block is left out.
            ws: As for `prepare`.
            motion_v: As for `prepare`.
        """
        if self.mode == "residual":
            rgb = center_crop(rgb, self.inputs.resolution)
        return Canvas(self, rgb, self.prepare(features, ws, motion_v))

    def base(self, rgb: Float[Tensor, "N 3 a b"], view: View) -> Float[Tensor, "N 3 Y X"]:
        """The image of the backbone, interpolated.

        Args:
            rgb: The native frame, or the image of half the working size where the last block is left out.
            view: Not below native size along either axis.
        """
        for axis in (0, 1):
            if self.mode == "residual" and view.on_pixels(axis, self.inputs.resolution):
                rgb = rgb.narrow(2 + axis, view.window[axis], view.shape[axis])
                continue
            places = view.places(axis, self.inputs.resolution)
            if self.mode == "replace_last_block":
                places = self.inputs.in_features(places, axis)
            rgb = resample(rgb, taps(places, rgb.shape[2 + axis]), 2 + axis)
        return rgb


@dataclass(frozen=True)
class Canvas:
    """What a backbone has drawn of some frames, for a decoder to be looked at in any number of views.

    Attributes:
        decoder: Whose it is.
        rgb: Image of the backbone.
        prepared: What the decoder knows of each frame.
    """

    decoder: Decoder
    rgb: Float[Tensor, "N 3 a b"]
    prepared: Prepared

    def __getitem__(self, frames: slice) -> Canvas:
        """Some of the frames."""
        return Canvas(self.decoder, self.rgb[frames], tuple(one[frames] for one in self.prepared))

    @classmethod
    def joined(cls, parts: Sequence[Canvas]) -> Canvas:
        """Frames of several, in their order."""
        if len(parts) == 1:
            return parts[0]
        prepared = tuple(map(torch.cat, zip(*(part.prepared for part in parts), strict=True)))
        return cls(parts[0].decoder, torch.cat([part.rgb for part in parts]), prepared)

    def look(self, view: View) -> Float[Tensor, "N 3 Y X"]:
        """The frames in a view; below native size they are drawn at that and low-passed."""
        finer, reductions = view.finer(self.decoder.inputs.resolution)
        whole = torch.is_grad_enabled() or len(self.rgb) <= self._rows(finer) // finer.shape[0]
        image = self._draw(finer) if whole else self._in_strips(finer)
        for axis, found in enumerate(reductions):
            if found is not None:
                image = resample(image, found, 2 + axis)
        return image

    def _draw(self, view: View) -> Float[Tensor, "N 3 Y X"]:
        return self.decoder.base(self.rgb, view) + self.decoder.query(self.prepared, view).to(self.rgb.dtype)

    def _rows(self, view: View) -> int:
        """Rows of a frame that are drawn at a time where no gradients ask for all of them."""
        limit = _CPU_BYTES if self.rgb.device.type == "cpu" else _DEVICE_BYTES
        return max(_LEAST_ROWS, limit // (4 * self.decoder.values_per_pixel * view.shape[1]))

    def _in_strips(self, view: View) -> Float[Tensor, "N 3 Y X"]:
        """Frame by frame, a few rows at a time: long strips share few rows with their neighbours."""
        (y0, x0, y1, x1), rows = view.window, self._rows(view)
        strips = [replace(view, window=(y, x0, min(y + rows, y1), x1)) for y in range(y0, y1, rows)]
        frames = [self[n : n + 1] for n in range(len(self.rgb))]
        return torch.cat([torch.cat([one._draw(strip) for strip in strips], dim=2) for one in frames])

    def look_each(self, views: Sequence[View]) -> Float[Tensor, "N 3 Y X"]:
        """The frames of each video in its own view; neighbours that share one are drawn together.

        Args:
            views: One for each video, of one shape.
        """
        num_frames, parts, start = len(self.rgb) // len(views), [], 0
        for view, group in groupby(views):
            stop = start + len(list(group)) * num_frames
            parts.append(self[start:stop].look(view))
            start = stop
        return parts[0] if len(parts) == 1 else torch.cat(parts)
