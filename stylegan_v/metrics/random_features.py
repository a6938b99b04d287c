"""Features of fixed random convolutions: a measure that needs no trained network and no download.

Random filters see colour, contrast, texture and speed, not what a frame means, so distances on these features tell a
model that learns from one that does not, on one data set. They are no FVD and no FID and compare with no published
figure. The filters are addressed draws (`stylegan_v.noise`), so they are the same on every machine, and part of the
definition: changing anything in this file changes every recorded figure.

Shape legend
    N       frames
    B, T    clips, frames of a clip
    D       feature dimension
    O, I    output and input channels of a filter bank; K, L its size in space and in time
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stylegan_v.noise import AddressedRandom

FRAME_SIZE = 32


class AppearanceFeatures(nn.Module):
    """What single frames look like: means and spreads of three layers of random convolutions.

    Half of the first filters sum to zero in space and see edges and texture; the others see colour and brightness too.

    Args:
        channels: Filters of each layer.
    """

    # As in `MotionFeatures`: values for ordinary frames come near 1.
    gain = 6.0

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        first = random_filters("appearance/0", channels, 3, 5, 5)
        edges = first[channels // 2 :]
        first = torch.cat([first[: channels // 2], edges - edges.mean(dim=(2, 3), keepdim=True)])
        self.register_buffer("filters0", _normalized(first))
        for i in (1, 2):
            # The factor keeps the size of rectified signals (He et al. 2015, eq. 10).
            filters = _normalized(random_filters(f"appearance/{i}", channels, channels, 3, 3)) * math.sqrt(2)
            self.register_buffer(f"filters{i}", filters)

    def forward(self, frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        """Features of frames in [-1, 1], D = 6 x channels."""
        x = standard_size(frames)
        features = []
        for filters in (self.filters0, self.filters1, self.filters2):
            x = F.relu(F.conv2d(x, filters))
            features += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
            x = F.avg_pool2d(x, 2)
        return torch.cat(features, dim=1) * self.gain


class MotionFeatures(nn.Module):
    """How clips change: rectified responses of random space-time filters that sum to zero over time.

    A still clip has no response at all, whatever it shows. Three taps in time tell directions and speeds apart; the
    spacings of the taps (1, 2, 4 frames) and two sizes of the frames widen the range of speeds. Means over space and
    time say how much moves and how; the spread over time of the means over space says how steadily.

    Args:
        channels: Filters of each of the six banks.
    """

    spacings = (1, 2, 4)
    num_sizes = 2
    # Brings the values for ordinary clips near 1, where the cubic kernel distance is not a mere difference of means.
    gain = 16.0

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        for size in range(self.num_sizes):
            for spacing in self.spacings:
                filters = random_filters(f"motion/{size}/{spacing}", channels, 3, 3, 5, 5)
                filters = _normalized(filters - filters.mean(dim=2, keepdim=True))
                # Taps in time as groups of channels: a 2D convolution is faster than a dilated 3D one.
                self.register_buffer(f"filters{size}_{spacing}", rearrange(filters, "O I L K1 K2 -> O (L I) K1 K2"))

    @property
    def min_frames(self) -> int:
        """Frames a clip must have: the widest filter at two places."""
        return 2 * max(self.spacings) + 2

    def forward(self, clip: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B D"]:
        """Features of clips in [-1, 1] of ``min_frames`` frames or more, D = 12 x channels."""
        batch, num_frames = clip.shape[:2]
        if num_frames < self.min_frames:
            raise ValueError(f"motion features need clips of {self.min_frames} frames, not {num_frames}")
        x = rearrange(standard_size(rearrange(clip, "B T C H W -> (B T) C H W")), "(B T) C H W -> B T C H W", B=batch)
        features = []
        for size in range(self.num_sizes):
            for spacing in self.spacings:
                response = self._response(x, getattr(self, f"filters{size}_{spacing}"), spacing)  # [B, T', O]
                features += [response.mean(dim=1), response.std(dim=1)]
            x = rearrange(
                F.avg_pool2d(rearrange(x, "B T C H W -> (B T) C H W"), 2), "(B T) C H W -> B T C H W", B=batch
            )
        return torch.cat(features, dim=1) * self.gain

    def _response(self, x: Tensor, filters: Tensor, spacing: int) -> Tensor:
        """Rectified responses in each window in time, averaged over every other pixel: a quarter of the work."""
        num_windows = x.shape[1] - 2 * spacing
        taps = torch.cat([x[:, i * spacing : i * spacing + num_windows] for i in range(3)], dim=2)  # [B, T', L I, H, W]
        response = F.relu(F.conv2d(rearrange(taps, "B T C H W -> (B T) C H W"), filters, stride=2)).mean(dim=(2, 3))
        return rearrange(response, "(B T) O -> B T O", B=len(x))


def random_filters(name: str, *shape: int) -> Tensor:
    """Standard normal filters [O, ...] that depend on ``name`` and their number alone."""
    return AddressedRandom(0, 0, "random_features", torch.arange(shape[0])).normal(name, *shape[1:])


def standard_size(frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 h w"]:
    """Frames whose shorter side is 32 pixels: box-filtered when larger, bilinear when smaller."""
    height, width = frames.shape[2:]
    short = min(height, width)
    if short == FRAME_SIZE:
        return frames
    size = (round(height * FRAME_SIZE / short), round(width * FRAME_SIZE / short))
    return (
        F.interpolate(frames, size, mode="area") if short > FRAME_SIZE else F.interpolate(frames, size, mode="bilinear")
    )


def _normalized(filters: Tensor) -> Tensor:
    """Filters of unit norm."""
    return F.normalize(filters.flatten(1), dim=1).view_as(filters)
