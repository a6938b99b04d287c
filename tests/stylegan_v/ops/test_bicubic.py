from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stylegan_v.ops.bicubic import cubic, resample, taps


def places(n: int, size: int, shift: float = 0.0) -> torch.Tensor:
    return (torch.arange(n, dtype=torch.float64) + 0.5 + shift) * size / n - 0.5


def test_the_kernel_interpolates_and_sums_to_one() -> None:
    x = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0], dtype=torch.float64)
    assert cubic(x).tolist() == [1.0, 0.5625, 0.0, -0.0625, 0.0, 0.0]
    at = torch.linspace(3, 4, 11, dtype=torch.float64)
    assert torch.allclose(taps(at, 9).weight.sum(dim=1), torch.ones(11, dtype=torch.float64))


def test_at_pixel_centres_it_is_the_identity_to_the_last_bit() -> None:
    x = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    for dim in (2, 3):
        assert torch.equal(resample(x, taps(places(x.shape[dim], x.shape[dim]), x.shape[dim]), dim), x)


def test_it_reproduces_quadratics_inside() -> None:
    x = torch.arange(12, dtype=torch.float64)
    at = torch.linspace(2, 9, 29, dtype=torch.float64)
    found = resample(0.3 * x**2 - 2 * x + 1, taps(at, 12), 0)
    torch.testing.assert_close(found, 0.3 * at**2 - 2 * at + 1)


@pytest.mark.parametrize(("n", "size"), [(5, 12), (7, 9), (4, 16), (9, 10)])
def test_reductions_are_those_of_torch_inside(n: int, size: int) -> None:
    x = torch.randn(1, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = F.interpolate(x, (n, n), mode="bicubic", antialias=True)
    ours = x
    for dim in (2, 3):
        ours = resample(ours, taps(places(n, size), size, size / n), dim)
    reach = -(-2 * n // n)  # at edges torch leaves pixels out, where here the last ones go on
    inside = slice(reach, n - reach)
    torch.testing.assert_close(ours[..., inside, inside], theirs[..., inside, inside])


def test_a_reduction_keeps_constants_and_removes_what_the_small_image_cannot_hold() -> None:
    stripes = torch.tensor([1.0, -1.0]).repeat(32)
    small = resample(stripes, taps(places(16, 64), 64, 4.0), 0)
    assert small[3:-3].abs().max() < 0.02
    assert torch.allclose(resample(torch.full((64,), 3.0), taps(places(16, 64), 64, 4.0), 0), torch.full((16,), 3.0))


def test_derivatives_are_exact_to_the_second_order() -> None:
    x = torch.randn(2, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    found = [taps(places(7, 5, 0.3), 5), taps(places(4, 6), 6, 1.5)]

    def sampled(x: torch.Tensor) -> torch.Tensor:
        return resample(resample(x, found[0], 2), found[1], 3)

    assert torch.autograd.gradcheck(sampled, x)
    assert torch.autograd.gradgradcheck(lambda x: sampled(x).square(), x)
