from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.encoders import RDN
from fields.encoders.rdn import ResidualDenseBlock
from tests.fields.encoders.reach import radius


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert sum(one.numel() for one in RDN().parameters()) == 21_973_952
        assert sum(one.numel() for one in RDN(20, 6, 32).parameters()) == 5_467_072


def test_a_block_fuses_all_that_its_layers_append_and_adds_it() -> None:
    block, x = ResidualDenseBlock(5, 3, 2), torch.randn(2, 5, 4, 6)
    first = torch.relu(block.convs[0].conv[0](x))
    second = torch.relu(block.convs[1].conv[0](torch.cat((x, first), dim=1)))
    torch.testing.assert_close(block(x), x + block.LFF(torch.cat((x, first, second), dim=1)))


def test_the_outputs_of_all_blocks_are_fused_and_the_shallow_features_added() -> None:
    encoder, image = RDN(2, 1, 4, 6), torch.randn(1, 3, 5, 4)
    shallow = encoder.SFENet1(image)
    first = encoder.RDBs[0](encoder.SFENet2(shallow))
    fused = encoder.GFF(torch.cat((first, encoder.RDBs[1](first)), dim=1))
    torch.testing.assert_close(encoder(image), shallow + fused)


def test_features_have_the_size_of_the_image() -> None:
    encoder = RDN(2, 2, 4, 8)
    assert encoder(torch.randn(1, 3, 1, 6)).shape == (1, encoder.out_dim, 1, 6) == (1, 8, 1, 6)


@pytest.mark.parametrize("upscale", [2, 3, 4, 8])
def test_a_tail_ends_in_an_image_of_that_many_times_the_size(upscale: int) -> None:
    encoder = RDN(1, 1, 4, 6, upscale=upscale)
    assert encoder.out_dim == 3
    assert encoder(torch.randn(2, 3, 4, 5)).shape == (2, 3, 4 * upscale, 5 * upscale)
    convolutions = [one for one in encoder.UPNet if hasattr(one, "weight")]
    assert [one.in_channels for one in convolutions] == [6] + [4] * (len(convolutions) - 1)


@pytest.mark.parametrize("upscale", [0, 5])
def test_other_factors_are_refused(upscale: int) -> None:
    with pytest.raises(InputError, match="power of two"):
        RDN(1, 1, 4, 6, upscale=upscale)


@pytest.mark.parametrize(("num_blocks", "num_layers"), [(1, 2), (2, 3)])
def test_features_depend_on_exactly_the_receptive_field(num_blocks: int, num_layers: int) -> None:
    encoder = RDN(num_blocks, num_layers, 4, 8)
    assert radius(encoder) == encoder.receptive_field == 3 + num_blocks * num_layers


@pytest.mark.parametrize("upscale", [2, 3, 4])
def test_nothing_beyond_the_receptive_field_of_a_tail_matters(upscale: int) -> None:
    encoder = RDN(2, 2, 4, 8, upscale=upscale)
    assert encoder.receptive_field - 1 <= radius(encoder, upscale) <= encoder.receptive_field
