"""Fast resampling equals the reference in value and in both derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_v.ops.resample import blur2d, downsample2d, fir_filter, upfirdn2d, upsample2d

FILTER = fir_filter().double()
PAIRS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "up": (upsample2d, lambda x: upfirdn2d(x, FILTER, up=2, padding=(2, 1, 2, 1), gain=4)),
    "down": (downsample2d, lambda x: upfirdn2d(x, FILTER, down=2, padding=(1, 1, 1, 1))),
    "blur before halving": (lambda x: blur2d(x, 2), lambda x: upfirdn2d(x, FILTER, padding=(2, 2, 2, 2))),
    "blur after doubling": (lambda x: blur2d(x, 1, 4.0), lambda x: upfirdn2d(x, FILTER, padding=(1, 1, 1, 1), gain=4)),
}


def images(height: int = 6, width: int = 7) -> Tensor:
    return torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
@pytest.mark.parametrize("name", PAIRS)
def test_fast_equals_reference_with_first_and_second_derivatives(name: str, size: tuple[int, int]) -> None:
    fast, reference = PAIRS[name]
    x = images(*size)
    results = []
    for function in (fast, reference):
        y = function(x)
        (first,) = torch.autograd.grad((y**3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), x)
        results.append((y, first, second))
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("name", PAIRS)
def test_derivatives_of_the_fast_form_are_those_of_finite_differences(name: str) -> None:
    x = images(5, 6)[:1, :2].detach().requires_grad_()
    assert torch.autograd.gradcheck(PAIRS[name][0], (x,))
    assert torch.autograd.gradgradcheck(PAIRS[name][0], (x,))


def test_a_constant_stays_constant_away_from_the_border() -> None:
    x = torch.ones(1, 1, 8, 8)
    torch.testing.assert_close(upsample2d(x)[:, :, 2:-2, 2:-2], torch.ones(1, 1, 12, 12))
    torch.testing.assert_close(downsample2d(x)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 2, 2))


def test_the_reference_inserts_zeros_and_convolves() -> None:
    """One pixel, doubled without a filter's help, is the filter itself, flipped only when correlating."""
    kernel = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    pixel = torch.zeros(1, 1, 3, 3)
    pixel[0, 0, 1, 1] = 1
    torch.testing.assert_close(upfirdn2d(pixel, kernel, padding=(1, 0, 1, 0))[0, 0, 1:, 1:], kernel)
    torch.testing.assert_close(
        upfirdn2d(pixel, kernel, padding=(1, 0, 1, 0), flip=True)[0, 0, 1:, 1:], kernel.flip(0, 1)
    )


def test_half_precision_and_layout_are_kept() -> None:
    x = images().detach().bfloat16().contiguous(memory_format=torch.channels_last)
    for fast, _ in PAIRS.values():
        y = fast(x)
        assert y.dtype == torch.bfloat16
        assert y.is_contiguous(memory_format=torch.channels_last)
