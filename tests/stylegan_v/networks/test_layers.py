"""Equalised layers and the minibatch standard deviation against naive forms."""

from __future__ import annotations

import math

import pytest
import torch

from stylegan_v.networks.layers import (
    EqualizedConv1d,
    EqualizedConv2d,
    EqualizedLinear,
    StyledConv,
    minibatch_std,
    normalize_second_moment,
)
from stylegan_v.ops.modulated_conv import modulated_conv2d_per_image


def test_stored_parameters_start_larger_where_they_learn_more_slowly() -> None:
    layer = EqualizedLinear(100, 400, lr_multiplier=0.01)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.05)
    assert layer(torch.randn(500, 100)).std().item() == pytest.approx(1, rel=0.1)


def test_the_bias_starts_at_its_stored_value() -> None:
    layer = EqualizedLinear(3, 2, bias_init=1.0)
    torch.testing.assert_close(layer(torch.zeros(1, 3)), torch.ones(1, 2))


def test_motion_convolutions_have_no_activation_gain() -> None:
    layer = EqualizedConv1d(1, 1, 1, lr_multiplier=1.0)
    layer.weight.data.fill_(1)
    torch.testing.assert_close(layer(torch.tensor([[[-1.0, 2.0]]])), torch.tensor([[[-0.2, 2.0]]]))


@pytest.mark.parametrize("act", ["lrelu", "linear"])
def test_the_call_gain_scales_output_and_clamp(act: str) -> None:
    x = 10 * torch.randn(2, 3, 8, 8)
    plain = EqualizedConv2d(3, 4, 3, act=act, conv_clamp=2.0)
    halved = EqualizedConv2d(3, 4, 3, act=act, conv_clamp=2.0, gain=0.5)
    halved.load_state_dict(plain.state_dict())
    torch.testing.assert_close(halved(x), plain(x) * 0.5)
    assert halved(x).abs().max() == 1


def test_styled_convolution_is_modulation_noise_bias_and_activation() -> None:
    layer = StyledConv(3, 4, 5, noise_size=(6, 6), conv_clamp=3.0)
    layer.noise_strength.data.fill_(0.3)
    layer.bias.data.normal_()
    x, w = torch.randn(4, 3, 6, 6), torch.randn(2, 5)
    y = modulated_conv2d_per_image(x, layer.weight, layer.affine(w)) + 0.3 * layer.noise_const
    expected = torch.nn.functional.leaky_relu(y + layer.bias[:, None, None], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, layer.noise_const), expected.clamp(-3, 3), rtol=1e-4, atol=1e-5)


def test_second_moment_is_one() -> None:
    x = normalize_second_moment(5 * torch.randn(3, 7))
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(3))


def test_minibatch_std_of_a_naive_loop() -> None:
    x = torch.randn(6, 4, 2, 2)
    y = minibatch_std(x, group_size=3, num_channels=2)
    assert y.shape == (6, 6, 2, 2)
    for image in range(6):
        group = [n for n in range(6) if n % 2 == image % 2]  # image n is in group n mod (N / group_size)
        for part, channels in enumerate(((0, 1), (2, 3))):
            spread = torch.stack([x[n, list(channels)] for n in group]).var(dim=0, unbiased=False).add(1e-8).sqrt()
            torch.testing.assert_close(y[image, 4 + part], spread.mean().expand(2, 2))


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="6 images do not divide into groups of 4"):
        minibatch_std(torch.zeros(6, 1, 2, 2), group_size=4)
