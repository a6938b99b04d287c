from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks import ways
from stylegan_v.ops.resample import fir_filter


def test_composed_kernels_are_filter_after_kernel() -> None:
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    kernel = ways.composed(weight, 4.0)
    assert kernel.shape == (2, 3, 6, 6)
    apart = F.conv2d(F.conv2d(x, 4 * fir_filter().double().expand(3, 1, 4, 4), groups=3), weight)
    torch.testing.assert_close(F.conv2d(x, kernel), apart)


def test_styled_kernels_have_unit_norm() -> None:
    kernels = ways.styled_kernels(torch.randn(4, 3, 3, 3), torch.rand(2, 3) + 0.5)
    torch.testing.assert_close(kernels.square().sum(dim=(2, 3, 4)), torch.ones(2, 4))


@pytest.mark.parametrize("double", [ways.up_bilinear, ways.up_polyphase, ways.up_shifted_adds, ways.up_separable])
def test_doubling_spreads_an_impulse_as_the_filter_says(double) -> None:  # noqa: ANN001
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 16.0
    line = torch.tensor([0.0, 0, 0, 1, 3, 3, 1, 0, 0, 0])
    torch.testing.assert_close(double(x)[0, 0], torch.outer(line, line))
