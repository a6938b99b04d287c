from __future__ import annotations

import torch

from fields.radiance.rays import Rays


def some_rays(times: torch.Tensor | None = None) -> Rays:
    return Rays(*(torch.randn(5, width) for width in (3, 3, 3, 1, 1, 1)), times)


def test_rays_are_indexed_by_slice_numbers_and_mask() -> None:
    rays = some_rays(torch.arange(5.0))
    assert len(rays) == 5
    for index in (slice(1, 4), torch.tensor([1, 2, 3]), torch.tensor([False, True, True, True, False])):
        assert len(rays[index]) == 3
        assert torch.equal(rays[index].directions, rays.directions[1:4])
        assert torch.equal(rays[index].times, torch.tensor([1.0, 2.0, 3.0]))


def test_rays_of_a_scene_at_rest_have_no_times() -> None:
    rays = some_rays()
    assert rays[:2].times is None
    moved = rays.to("meta")
    assert moved.times is None and moved.far.is_meta
