from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from errors import InputError
from fields.ffnerv.blocks import ConvBlock, QuantisedConv, magnifying_convolution
from fields.quantisers import TanhFloor


def test_weights_and_biases_are_quantised() -> None:
    conv = QuantisedConv(4, 6, 3, groups=2, quantiser=TanhFloor(4))
    x = torch.rand(2, 4, 5, 6)
    q = TanhFloor(4)
    torch.testing.assert_close(conv(x), F.conv2d(x, q(conv.weight), q(conv.bias), padding=1, groups=2))
    assert (q(conv.weight) - conv.weight).abs().max() > 0.01


def test_without_quantiser_it_is_a_convolution() -> None:
    conv = QuantisedConv(4, 6, 3)
    x = torch.rand(2, 4, 5, 6)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))


@pytest.mark.parametrize(
    "convolution, stride, shapes",
    [
        ("plain", 2, [(64, 8, 3, 3)]),
        ("compact", 2, [(64, 1, 3, 3), (64, 64, 1, 1)]),
        ("compact", 5, [(400, 8, 3, 3)]),
    ],
)
def test_kinds_of_convolutions(convolution: str, stride: int, shapes: list) -> None:
    parts = magnifying_convolution(8, 16, stride, convolution, None)
    assert [tuple(part.weight.shape) for part in parts] == shapes


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_blocks_magnify(stride: int) -> None:
    assert ConvBlock(4, 6, stride, 3)(torch.rand(2, 4, 3, 5), torch.tensor([0.0, 0.5])).shape == (
        2,
        6,
        3 * stride,
        5 * stride,
    )


def test_a_new_modulation_leaves_standardised_features() -> None:
    block, plain = ConvBlock(4, 3, 2, 5), ConvBlock(4, 3, 2, None)
    plain.conv.load_state_dict(block.conv.state_dict())
    x, t = torch.rand(2, 4, 6, 7), torch.tensor([0.1, 0.8])
    features = plain.shuffle(plain.conv(x))
    variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(block(x, t), F.gelu((features - mean) / (variance + 1e-5).sqrt()))
    torch.testing.assert_close(plain(x, t), F.gelu(features))


def test_every_channel_is_modulated_by_time() -> None:
    block = ConvBlock(4, 3, 2, 5)
    torch.nn.init.normal_(block.cam.gamma.values)
    x = torch.rand(1, 4, 6, 7)
    # Knot k of T sits at k / (T - 1), and the last stays beyond (a moment of 1 is no frame's).
    for moment, knot in ((0.0, 0), (0.25, 1), (1.0, 4), (1.3, 4)):
        scaled = (
            block.cam.normalise(block.shuffle(block.conv(x)), "frames") * block.cam.gamma.values[:, knot, None, None]
        )
        torch.testing.assert_close(block(x, torch.tensor([moment])), F.gelu(scaled))


def test_convolutions_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="'round'"):
        magnifying_convolution(8, 8, 2, "round", None)
    with pytest.raises(InputError, match="multiples of 8"):
        magnifying_convolution(12, 8, 2, "compact", None)
