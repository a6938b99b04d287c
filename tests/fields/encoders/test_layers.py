from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from errors import InputError
from fields.encoders.layers import conv3, shuffle_steps, upsampling_tail


def test_magnifications_are_twos_or_one_three() -> None:
    assert [shuffle_steps(upscale) for upscale in (2, 3, 4, 8)] == [[2], [3], [2, 2], [2, 2, 2]]


@pytest.mark.parametrize("upscale", [0, 1, 5, 6, 9, -2])
def test_other_magnifications_are_refused(upscale: int) -> None:
    with pytest.raises(InputError, match="power of two"):
        upsampling_tail(4, upscale)


def test_a_convolution_has_zeros_beyond_the_border() -> None:
    layer, x = conv3(2, 5), torch.randn(1, 2, 4, 6)
    inside = F.conv2d(F.pad(x, (1, 1, 1, 1)), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), inside)


def test_a_tail_shuffles_channels_into_pixels() -> None:
    tail = upsampling_tail(2, 3)
    with torch.no_grad():
        for layer in (tail[0][0], tail[1]):
            layer.weight.zero_()
            layer.bias.zero_()
        tail[0][0].bias.copy_(torch.arange(18.0))
        tail[1].weight[:, :, 1, 1] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    image = tail(torch.randn(1, 2, 2, 1))
    expected = torch.arange(18.0).view(2, 3, 3).repeat(1, 2, 1)
    assert torch.equal(image[0], torch.cat((expected, torch.zeros(1, 6, 3))))
