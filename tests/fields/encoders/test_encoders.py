from __future__ import annotations

import pytest
import torch
from torch import nn

from errors import InputError
from fields.encoders import EDSR, RCAN, RDN

SMALL = {
    "edsr": lambda **more: EDSR(2, 8, 0.5, **more),
    "rdn": lambda **more: RDN(2, 2, 4, 8, **more),
    "rcan": lambda **more: RCAN(2, 2, 8, 4, **more),
}


def _num_parameters(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def test_published_sizes() -> None:
    # The published EDSR and RCAN also hold 24 constants that nothing applies.
    with torch.device("meta"):
        assert _num_parameters(EDSR()) == 1_220_440 - 24
        assert _num_parameters(EDSR(32, 256, 0.1)) == 38_362_392 - 24
        assert _num_parameters(RDN()) == 21_973_952
        assert _num_parameters(RDN(20, 6, 32)) == 5_467_072
        assert _num_parameters(RCAN()) == 15_295_224 - 24


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("upscale", [2, 3, 4, 8])
def test_tails_end_in_an_image_of_that_many_times_the_size(name: str, upscale: int) -> None:
    encoder = SMALL[name](upscale=upscale)
    assert encoder.out_dim == 3
    assert encoder(torch.randn(2, 3, 4, 5)).shape == (2, 3, 4 * upscale, 5 * upscale)


@pytest.mark.parametrize("name", SMALL)
def test_features_have_the_size_of_the_image(name: str) -> None:
    encoder = SMALL[name]()
    assert encoder(torch.randn(1, 3, 1, 6)).shape == (1, encoder.out_dim, 1, 6)


@pytest.mark.parametrize("upscale", [None, 2, 3])
@pytest.mark.parametrize("name", ["edsr", "rdn"])
def test_nothing_beyond_the_receptive_field_matters_and_its_edge_does(name: str, upscale: int | None) -> None:
    encoder = SMALL[name](upscale=upscale)
    side = 2 * encoder.receptive_field + 9
    image = torch.randn(1, 3, side, side, requires_grad=True)
    place = side // 2 * (upscale or 1)
    encoder(image)[0, :, place, place].sum().backward()
    reached = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    radius = side // 2 - int(reached.min())
    assert radius <= encoder.receptive_field
    assert radius >= encoder.receptive_field - (0 if upscale is None else 1)


def test_attention_reads_the_whole_image_and_says_so() -> None:
    encoder = SMALL["rcan"]()
    image = torch.randn(1, 3, 40, 40, requires_grad=True)
    encoder(image)[0, :, 0, 0].sum().backward()
    assert encoder.receptive_field is None
    assert bool((image.grad[0, :, -1, -1] != 0).any())


@pytest.mark.parametrize("upscale", [0, 1, 5, 6, -2])
def test_other_factors_are_refused(upscale: int) -> None:
    with pytest.raises(InputError, match="power of two"):
        EDSR(1, 4, upscale=upscale)
