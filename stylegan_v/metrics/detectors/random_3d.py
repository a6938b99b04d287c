"""Feature networks that need no training and no file: three layers of fixed random convolutions.

They are there to drive a protocol from end to end and to compare models on one small data set. What they give says that
a number moves with the pictures and with the motion, never how good a video looks to a person, and compares with no
published figure. Filters are addressed draws (`stylegan_v.noise`), the same on every machine, and `digest` is computed
from them: whatever changes in this file that changes a feature must change ``_DEFINITION`` too.

Shape legend
    B, T        clips, frames of a clip
    N           items: clips, or frames
    D, C        feature dimension, classes
    H, W        height and width
    O, I        output and input channels of a filter bank; L, K its size in time and in space
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from errors import InputError
from stylegan_v.metrics.detectors.interface import NOT_COMPARABLE, Detector, check_clips, measuring
from stylegan_v.noise import AddressedRandom

_DEFINITION = "random convolutions, version 1"
_SMALLEST = 16  # pixels of the shorter side that are accepted
_SIZE = 64  # and that the filters see
_FRAMES_AT_ONCE = 16  # while frames are made smaller
_WIDTHS = (64, 48, 48)
_FILTER_SIZES = (5, 3, 3)
_STRIDE = 2
# Brings the features of ordinary clips near 1, where the cubic kernel distance is no mere difference of means.
_GAIN = 3.0
# A balance is near 1/2 for all clips, and shifts little: this makes it weigh about as much as the strengths.
_BALANCE_GAIN = 6.0
# The power of a response to one step of 8 bits, in the units of [-1, 1]: what is less counts as no response.
_FLOOR = (1 / 255) ** 2
_NUM_CLASSES = 32
_FREQUENCY, _SHARPNESS = 0.5, 15.0


def _num_still(width: int, moving: float) -> int:
    """Filters of a bank that see what does not change; they come first."""
    return width - round(moving * width)


def _normal(name: str, *shape: int) -> Float64[Tensor, "..."]:
    return AddressedRandom(0, 0, _DEFINITION, torch.arange(shape[0])).normal(name, *shape[1:]).double()


def random_filters(
    name: str, width: int, num_inputs: int, taps: int, size: int, moving: float
) -> Float64[Tensor, "O I L K K"]:
    """A bank of filters of unit norm: first those that see everything, then edges, then change.

    Double precision keeps machines that add in another order from giving other bits.

    Args:
        name: Of the draws.
        width: O.
        num_inputs: I.
        taps: L.
        size: K.
        moving: Share that sums to zero over time; half of the others sum to zero in space.
    """
    filters = _normal(name, width, num_inputs, taps, size, size)
    still = _num_still(width, moving)
    everything, edges, change = filters.split((still - still // 2, still // 2, width - still))
    edges, change = edges - edges.mean(dim=(3, 4), keepdim=True), change - change.mean(dim=2, keepdim=True)
    filters = torch.cat([everything, edges, change])
    return F.normalize(filters.flatten(1), dim=1).view_as(filters)


def _resized(frames: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "T 3 h w"]:
    """Box-filtered when larger, bilinear when smaller."""
    height, width = frames.shape[2:]
    short = min(height, width)
    if short == _SIZE:
        return frames
    size = (round(height * _SIZE / short), round(width * _SIZE / short))
    return F.interpolate(frames, size, mode="area" if short > _SIZE else "bilinear")


def _seen(clip: UInt8[Tensor, "T 3 H W"], unit: Literal["clip", "frame"]) -> Float[Tensor, "N 3 L h w"]:
    """One clip in [-1, 1] as the filters see it: the shorter side has 64 pixels."""
    frames = torch.cat([_resized(part.float() / 127.5 - 1) for part in clip.split(_FRAMES_AT_ONCE)])
    return rearrange(frames, "T C H W -> 1 C T H W" if unit == "clip" else "T C H W -> T C 1 H W")


class RandomConvolutions(nn.Module):
    """Features of random filters in space and time: how strongly each responds, and which sign its responses have.

    Of each layer a part of the filters sums to zero over time and sees nothing but change, a part sums to zero in space
    and sees edges and texture, and the rest sees colour and brightness too. Two kinds of features follow:

    - strength: the square root of the root mean square response over the clip. The second root keeps busy clips from
      drowning the calm ones: what counts is by which factor motion or contrast is off.
    - balance, of the first layer's filters of change: the share of the power that is in positive responses. A pixel
      that brightens slowly and darkens at once has the same strength played backwards, but not the same balance: the
      arrow of time.

    Each clip is looked at by itself, so its features are the same to the last bit however clips are put together.

    Args:
        name: In the table of detectors.
        unit: What an item is.
        taps: L, frames that a filter sees.
        moving: Share of the filters that sum to zero over time.
    """

    caveat = NOT_COMPARABLE

    def __init__(self, name: str, unit: Literal["clip", "frame"], taps: int, moving: float) -> None:
        super().__init__()
        self.name, self.unit, self.taps = name, unit, taps
        self.min_frames = 1 + len(_WIDTHS) * (taps - 1)
        num_inputs = 3
        for i, (width, size) in enumerate(zip(_WIDTHS, _FILTER_SIZES, strict=True)):
            filters = random_filters(f"{name}/{i}", width, num_inputs, taps, size, moving)
            # The factor keeps the size of rectified signals (He et al. 2015, eq. 10).
            self.register_buffer(f"filters{i}", (filters * math.sqrt(2 if i else 1)).float())
            num_inputs = width
        self.num_still = _num_still(_WIDTHS[0], moving)
        self.num_features = sum(_WIDTHS) + _WIDTHS[0] - self.num_still
        self.register_buffer("directions", _normal(f"{name}/directions", _NUM_CLASSES, self.num_features).float())
        phases = AddressedRandom(0, 0, _DEFINITION, torch.arange(_NUM_CLASSES)).uniform(f"{name}/phases")
        self.register_buffer("phases", (2 * math.pi * phases).float())
        self.digest = f"definition:{self._sha256()}"

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N D"]:
        """Features of clips, or of their frames clip by clip; D = 203 of clips, 160 of frames.

        Args:
            clips: Of `min_frames` frames or more and 16 pixels or more.

        Raises:
            InputError: They are shorter or smaller.
        """
        check_clips(self.name, clips, self.min_frames)
        if min(clips.shape[3:]) < _SMALLEST:
            raise InputError(f"{self.name}: frames of {clips.shape[3]}x{clips.shape[4]} pixels: it needs {_SMALLEST}")
        device = self.phases.device
        with measuring(device):
            return torch.cat([self._describe(_seen(clip.to(device), self.unit)) for clip in clips])

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N C"]:
        """Probabilities of 32 classes that mean nothing: a softmax of random Fourier features.

        The cosine (Rahimi and Recht 2007) uses all classes about equally whatever the mean of the features is, so that
        varied clips have a score well above 1 and equal clips one of 1.

        Args:
            clips: As for `features`.
        """
        features = self.features(clips)
        with measuring(features.device):
            # One product and sum per item: a matrix product may round rows differently in another company.
            angles = torch.stack([(self.directions * row).sum(dim=1) for row in features]) * _FREQUENCY + self.phases
            return torch.softmax(_SHARPNESS * torch.cos(angles), dim=1)

    def _describe(self, x: Float[Tensor, "N 3 T H W"]) -> Float[Tensor, "N D"]:
        """Strengths of all layers and balances of the first."""
        strengths, balances = [], []
        for filters in (self.filters0, self.filters1, self.filters2):
            response = F.conv3d(x, filters, stride=(1, _STRIDE, _STRIDE))
            x = F.relu(response)
            power, positive = (values.square().mean(dim=(2, 3, 4)) for values in (response, x))
            strengths.append(power.sqrt().sqrt())
            balances.append((positive - power / 2) / (power + _FLOOR))
        return torch.cat(
            [_GAIN * torch.cat(strengths, dim=1), 1 + _BALANCE_GAIN * balances[0][:, self.num_still :]], dim=1
        )

    def _sha256(self) -> str:
        """Of everything that decides the features and probabilities."""
        constants = (_DEFINITION, self.name, _SIZE, _STRIDE, _GAIN, _BALANCE_GAIN, _FLOOR, _FREQUENCY, _SHARPNESS)
        digest = hashlib.sha256(repr(constants).encode())
        for name, values in self.named_buffers():
            digest.update(f"{name} {list(values.shape)}".encode() + values.numpy().astype("<f4").tobytes())
        return digest.hexdigest()


class Random3D(RandomConvolutions):
    """Random convolutions in space and time: an item is a clip of 7 frames or more."""

    def __init__(self) -> None:
        super().__init__("random_3d", unit="clip", taps=3, moving=2 / 3)


class Random2D(RandomConvolutions):
    """Random convolutions in space: an item is a frame, and motion is not seen."""

    def __init__(self) -> None:
        super().__init__("random_2d", unit="frame", taps=1, moving=0.0)


RANDOM: dict[str, type[Detector]] = {"random_3d": Random3D, "random_2d": Random2D}
