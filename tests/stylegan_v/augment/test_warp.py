"""The warp against its definition, and its ways against one another."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v.augment import warp as warp_module
from stylegan_v.augment.axes import LOWPASS
from stylegan_v.augment.draws import Draws
from stylegan_v.augment.matrices import inverse_geometry
from stylegan_v.augment.settings import resolve
from stylegan_v.augment.warp import warp
from stylegan_v.ops.resample import upfirdn2d
from tests.stylegan_v.augment.chosen import addressed


def affine_maps(count: int, size: int = 32) -> Tensor:
    settings = resolve("geom", {"scale_std": 0.4})
    return inverse_geometry(settings, Draws(settings, 1.0, addressed(list(range(count)))), size, size)


def naive_warp(image: Tensor, inverse: Tensor) -> Tensor:
    """The same, written out: reflect, upsample, look up, downsample. One image [C, H, W], map [3, 3]."""
    x, taps = image[None], torch.tensor(LOWPASS, dtype=torch.float64)
    height, width = image.shape[1:]
    x = F.pad(x, (width - 1, width - 1, height - 1, height - 1), mode="reflect")
    x = upfirdn2d(x, taps, up=2, gain=4, padding=(6, 5, 6, 5))

    # The dense output reaches 6 positions beyond the frame; position j of it is pixel (j - 6) / 2.
    rows = (torch.arange(2 * height + 12) - 6).double() / 2 - (height - 1) / 2
    columns = (torch.arange(2 * width + 12) - 6).double() / 2 - (width - 1) / 2
    y, x_ = torch.meshgrid(rows, columns, indexing="ij")
    source = torch.einsum("ij,jhw->ihw", inverse, torch.stack([x_, y, torch.ones_like(x_)]))
    position_x = 2 * (source[0] + (width - 1) / 2 + (width - 1))
    position_y = 2 * (source[1] + (height - 1) / 2 + (height - 1))
    size_y, size_x = x.shape[2:]
    grid = torch.stack([(2 * position_x + 1) / size_x - 1, (2 * position_y + 1) / size_y - 1], dim=-1)
    dense = F.grid_sample(x, grid[None], align_corners=False)
    return upfirdn2d(dense, taps, down=2, flip=True, padding=(-1, -1, -1, -1))[0]


@pytest.mark.parametrize(
    "preset, count, size", [("bg", 6, (32, 32)), ("blit", 6, (24, 24)), ("geom", 6, (20, 36)), ("bg", 2, (100, 98))]
)
def test_warp_equals_its_definition(preset: str, count: int, size: tuple[int, int]) -> None:
    x = torch.rand(count, 1, *size, dtype=torch.float64)
    settings = resolve(preset, {"scale_std": 0.6})
    maps = inverse_geometry(settings, Draws(settings, 0.8, addressed(list(range(count)))), *size)
    expected = torch.stack([naive_warp(image, inverse) for image, inverse in zip(x, maps, strict=True)])
    torch.testing.assert_close(warp(x, maps), expected, rtol=0, atol=1e-11)


def test_both_ways_to_warp_agree_on_axis_aligned_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(8, 3, 24, 24, dtype=torch.float64)
    settings = resolve("bg", {"rotate": 0})
    maps = inverse_geometry(settings, Draws(settings, 1.0, addressed(list(range(8)))), 24, 24)
    by_matrices = warp(x, maps)
    monkeypatch.setattr(warp_module, "_ROUNDING", -1.0)
    torch.testing.assert_close(warp(x, maps), by_matrices, rtol=0, atol=1e-11)


def test_a_group_on_an_accelerator_equals_one_image_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, maps = torch.rand(5, 3, 20, 20), affine_maps(5, 20)
    one_at_a_time = warp(x, maps)
    monkeypatch.setattr(warp_module, "_launches_cheaply", lambda x: False)
    torch.testing.assert_close(warp(x, maps), one_at_a_time, rtol=0, atol=1e-5)


def test_far_outside_the_reflected_image_is_black() -> None:
    far = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    far[:, 0, 2] = torch.tensor([500.0, -500.0])
    far[:, 0, 1] = 0.1  # no axis-aligned map
    assert not warp(torch.ones(2, 1, 16, 16), far).any()
