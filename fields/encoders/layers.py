"""What the encoders share: the 3x3 convolution and the tail that magnifies by a fixed whole number."""

from __future__ import annotations

from torch import nn

from errors import InputError


def conv3(in_dim: int, out_dim: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, with zeros beyond the border."""
    return nn.Conv2d(in_dim, out_dim, 3, padding=1)


def shuffle_steps(upscale: int) -> list[int]:
    """Factors of the pixel shuffles that magnify by ``upscale``: twos, or one three.

    Raises:
        InputError: If the factor is neither 3 nor a power of two from 2 on.
    """
    if upscale == 3:
        return [3]
    steps = upscale.bit_length() - 1
    if upscale < 2 or 2**steps != upscale:
        raise InputError(f"upscale {upscale}: a tail magnifies by 2, 3, 4, 8 or another power of two")
    return [2] * steps


def upsampling_tail(num_features: int, upscale: int) -> nn.Sequential:
    """Features to an image of ``upscale`` times the size: sub-pixel convolutions, then one to RGB (as in EDSR).

    Args:
        num_features: Channels of the features.
        upscale: 2, 3, 4, 8 ...
    """
    steps: list[nn.Module] = []
    for factor in shuffle_steps(upscale):
        steps += [conv3(num_features, num_features * factor**2), nn.PixelShuffle(factor)]
    return nn.Sequential(nn.Sequential(*steps), conv3(num_features, 3))


# A tail reads one low-resolution pixel around, then 1/2, 1/4 ... or 1/3 of one: less than two in all.
TAIL_RADIUS = 2
