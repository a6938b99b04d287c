from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.psnr_protocols import psnr_by_protocol, shave_of


def test_shaved_borders() -> None:
    assert [shave_of(protocol, 4) for protocol in ("plain", "div2k", "benchmark")] == [0, 10, 4]


@pytest.mark.parametrize("protocol", ["plain", "div2k", "benchmark"])
def test_errors_in_the_shaved_border_do_not_count(protocol: str) -> None:
    reference = torch.rand(1, 3, 40, 40)
    shave = shave_of(protocol, 3)
    result = reference.clone()
    result[..., shave : 40 - shave, shave : 40 - shave] += 0.01
    result[..., :shave, :] = 5
    factor = 219.859 / 256 if protocol == "benchmark" else 1.0
    expected = -20 * math.log10(0.01 * factor)
    assert float(psnr_by_protocol(result, reference, protocol, 3)) == pytest.approx(expected, abs=1e-4)


def test_luma_of_the_difference_and_grey_images_as_they_are() -> None:
    reference = torch.zeros(3, 3, 20, 20)
    result = reference.clone()
    for channel in range(3):
        result[channel, channel] = 0.1
    found = psnr_by_protocol(result, reference, "benchmark", 2)
    weights = torch.tensor([65.738, 129.057, 25.064], dtype=torch.float64) / 256
    torch.testing.assert_close(found, -20 * torch.log10(0.1 * weights), rtol=0, atol=1e-5)
    grey = psnr_by_protocol(result[:1, :1], reference[:1, :1], "benchmark", 2)
    assert float(grey) == pytest.approx(20, abs=1e-5)


def test_one_figure_per_image() -> None:
    result = torch.tensor([0.1, 0.0, 0.01])[:, None, None, None].expand(3, 3, 9, 9)
    found = psnr_by_protocol(result, torch.zeros(3, 3, 9, 9), "plain")
    torch.testing.assert_close(found, torch.tensor([20.0, math.inf, 40.0], dtype=torch.float64), rtol=0, atol=1e-5)


def test_images_of_which_nothing_is_left_are_refused() -> None:
    with pytest.raises(InputError, match="nothing is left"):
        psnr_by_protocol(torch.zeros(1, 3, 20, 30), torch.zeros(1, 3, 20, 30), "div2k", 4)
