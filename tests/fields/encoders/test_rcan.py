from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.encoders import RCAN
from fields.encoders.rcan import AttentionBlock, ChannelAttention, ResidualGroup


def test_published_size() -> None:
    # The published file also holds 24 constants that nothing applies.
    with torch.device("meta"):
        assert sum(one.numel() for one in RCAN().parameters()) == 15_295_224 - 24


def test_attention_scales_channels_by_what_their_means_say() -> None:
    attention, x = ChannelAttention(8, 4), torch.randn(2, 8, 3, 5)
    squeeze, _, widen, _ = attention.conv_du
    narrow = torch.relu(x.mean(dim=(2, 3)) @ squeeze.weight[:, :, 0, 0].T + squeeze.bias)
    factors = torch.sigmoid(narrow @ widen.weight[:, :, 0, 0].T + widen.bias)
    torch.testing.assert_close(attention(x), x * factors[:, :, None, None])


def test_blocks_groups_and_the_whole_add_their_input() -> None:
    x, image = torch.randn(2, 8, 4, 5), torch.randn(1, 3, 4, 5)
    block, group, encoder = AttentionBlock(8, 4), ResidualGroup(2, 8, 4), RCAN(2, 1, 8, 4)
    first, _, second, attention = block.body
    torch.testing.assert_close(block(x), x + attention(second(torch.relu(first(x)))))
    one, two, last = group.body
    torch.testing.assert_close(group(x), x + last(two(one(x))))
    one, two, last = encoder.body
    head = encoder.head(image)
    torch.testing.assert_close(encoder(image), head + last(two(one(head))))


def test_features_have_the_size_of_the_image() -> None:
    encoder = RCAN(2, 2, 8, 4)
    assert encoder(torch.randn(1, 3, 1, 6)).shape == (1, encoder.out_dim, 1, 6) == (1, 8, 1, 6)


@pytest.mark.parametrize("upscale", [2, 3, 4, 8])
def test_a_tail_ends_in_an_image_of_that_many_times_the_size(upscale: int) -> None:
    encoder = RCAN(1, 1, 8, 4, upscale=upscale)
    assert encoder.out_dim == 3
    assert encoder(torch.randn(2, 3, 4, 5)).shape == (2, 3, 4 * upscale, 5 * upscale)


@pytest.mark.parametrize("upscale", [0, 5])
def test_other_factors_are_refused(upscale: int) -> None:
    with pytest.raises(InputError, match="power of two"):
        RCAN(1, 1, 8, 4, upscale=upscale)


def test_features_depend_on_the_whole_image_and_the_encoder_says_so() -> None:
    encoder = RCAN(2, 2, 8, 4)
    image = torch.randn(1, 3, 40, 40, requires_grad=True)
    encoder(image)[0, :, 0, 0].sum().backward()
    assert encoder.receptive_field is None
    assert bool((image.grad[0, :, -1, -1] != 0).any())
