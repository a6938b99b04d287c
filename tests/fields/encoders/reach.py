"""How far around a place an encoder really looks, for tests of what it says about that."""

from __future__ import annotations

import torch
from torch import nn


def radius(encoder: nn.Module, upscale: int | None = None) -> int:
    """Pixels of the image beyond the one that the middle of the result lies in, on the side where there are more.

    Args:
        encoder: With a receptive field.
        upscale: Of its tail.
    """
    side = 2 * encoder.receptive_field + 9
    image = torch.randn(1, 3, side, side, requires_grad=True)
    place = side // 2 * (upscale or 1)
    encoder(image)[0, :, place, place].sum().backward()
    reached = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    return max(side // 2 - int(reached.min()), int(reached.max()) - side // 2)
