from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.encoders import EDSR
from fields.encoders.edsr import ResidualBlock
from tests.fields.encoders.reach import radius


def test_published_sizes() -> None:
    # The published files also hold 24 constants that nothing applies.
    with torch.device("meta"):
        assert sum(one.numel() for one in EDSR().parameters()) == 1_220_440 - 24
        assert sum(one.numel() for one in EDSR(32, 256, 0.1).parameters()) == 38_362_392 - 24


def test_a_block_adds_its_scaled_convolutions() -> None:
    block, x = ResidualBlock(4, 0.1), torch.randn(2, 4, 5, 6)
    first, _, second = block.body
    torch.testing.assert_close(block(x), x + 0.1 * second(torch.relu(first(x))))


def test_the_head_skips_the_body() -> None:
    encoder, image = EDSR(1, 4), torch.randn(1, 3, 5, 6)
    block, last = encoder.body
    head = encoder.head(image)
    torch.testing.assert_close(encoder(image), head + last(block(head)))


def test_features_have_the_size_of_the_image() -> None:
    encoder = EDSR(2, 8)
    assert encoder(torch.randn(1, 3, 1, 6)).shape == (1, encoder.out_dim, 1, 6) == (1, 8, 1, 6)


@pytest.mark.parametrize("upscale", [2, 3, 4, 8])
def test_a_tail_ends_in_an_image_of_that_many_times_the_size(upscale: int) -> None:
    encoder, image = EDSR(1, 4, upscale=upscale), torch.randn(2, 3, 4, 5)
    assert encoder.out_dim == 3
    magnified = encoder(image)
    assert magnified.shape == (2, 3, 4 * upscale, 5 * upscale)
    features = EDSR(1, 4)
    features.load_state_dict({name: one for name, one in encoder.state_dict().items() if not name.startswith("tail")})
    torch.testing.assert_close(magnified, encoder.tail(features(image)))


@pytest.mark.parametrize("upscale", [0, 1, 5, 6, -2])
def test_other_factors_are_refused(upscale: int) -> None:
    with pytest.raises(InputError, match="power of two"):
        EDSR(1, 4, upscale=upscale)


@pytest.mark.parametrize("num_blocks", [1, 3])
def test_features_depend_on_exactly_the_receptive_field(num_blocks: int) -> None:
    encoder = EDSR(num_blocks, 8)
    assert radius(encoder) == encoder.receptive_field == 2 + 2 * num_blocks


@pytest.mark.parametrize("upscale", [2, 3, 4])
def test_nothing_beyond_the_receptive_field_of_a_tail_matters(upscale: int) -> None:
    encoder = EDSR(2, 8, upscale=upscale)
    assert encoder.receptive_field - 1 <= radius(encoder, upscale) <= encoder.receptive_field
