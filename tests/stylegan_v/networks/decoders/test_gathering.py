from __future__ import annotations

import pytest
import torch

from stylegan_v.networks.decoders.gathering import between, read_columns, read_rows

CPU = torch.device("cpu")


def latents(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(1, 6, 5, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))


def test_at_latents_it_is_what_they_are_and_half_way_their_mean() -> None:
    found = read_rows(latents(), between(torch.tensor([0.0, 2.0, 2.5, 5.0], dtype=torch.float64), 6, CPU))
    x = latents()
    torch.testing.assert_close(found, torch.stack([x[:, 0], x[:, 2], (x[:, 2] + x[:, 3]) / 2, x[:, 5]], dim=1))
    found = read_columns(x, between(torch.tensor([1.25], dtype=torch.float64), 5, CPU))
    share = 0.25**2 * (3 - 2 * 0.25)
    torch.testing.assert_close(found[:, :, 0], (1 - share) * x[:, :, 1] + share * x[:, :, 2])


def test_beyond_the_border_its_latents_go_on() -> None:
    places = torch.tensor([-3.0, -0.7, 5.2, 9.9], dtype=torch.float64)
    found, x = read_rows(latents(), between(places, 6, CPU)), latents()
    torch.testing.assert_close(found, torch.stack([x[:, 0], x[:, 0], x[:, 5], x[:, 5]], dim=1))


@pytest.mark.parametrize("border", [0.0, 1.0, 3.0, 4.0])
def test_values_and_slopes_are_continuous_where_the_latents_change(border: float) -> None:
    step = 1e-4
    places = border + step * torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)
    found = between(places, 6, CPU)
    for values, bound in ((read_rows(latents(), found)[0], 30.0), (found.offset.double(), 7.0)):
        slopes = values.diff(dim=0) / step
        # The second derivative is bounded, so slopes on both sides differ by no more than it times the distance.
        assert (slopes[-1] - slopes[0]).abs().max() < 3 * step * bound + 2e-3
    linear = torch.lerp(latents()[:, 1], latents()[:, 2], 0.5) - latents()[:, 1]
    assert linear.abs().max() > 0.1  # bilinear weights would jump by about as much as latents differ


def test_offsets_are_those_of_the_blend() -> None:
    places = torch.linspace(0, 4.9, 50, dtype=torch.float64)
    found, index = between(places, 6, CPU), torch.arange(6, dtype=torch.float64)
    mean = read_rows(index[None, :, None, None], found).flatten()
    torch.testing.assert_close(found.offset.double(), places - mean, rtol=0, atol=1e-6)
    assert found.offset.abs().max() < 0.1


def test_half_precision_latents_are_blended_in_float32() -> None:
    places = torch.tensor([1.3, 2.01], dtype=torch.float64)
    x = latents(torch.float32).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = read_columns(x, between(places, 5, CPU))
    assert found.dtype == torch.float32
    assert torch.equal(found, read_columns(x.float(), between(places, 5, CPU)))
