from __future__ import annotations

import pytest
import torch

from fields.grid_corners import all_corners
from fields.grid_geometry import corners, make_levels


@pytest.mark.parametrize("border", ["wrap", "clamp"])
@pytest.mark.parametrize("interpolation", ["linear", "smoothstep", "nearest"])
@pytest.mark.parametrize(
    ("dims", "settings"),
    [
        (2, {}),
        (3, {"growth": 2.0, "align": 8}),
        (3, {"growth": 1.7, "storage": "hash", "log2_table": 7}),
        (3, {"base": 40, "growth": 2.0, "storage": "hash", "log2_table": 7}),  # every level is hashed
        (2, {"growth": 3.0, "storage": "tiled"}),
        (2, {"max_resolution": (1, 5)}),
    ],
)
def test_corners_are_those_of_each_level(dims: int, settings: dict, interpolation: str, border: str) -> None:
    levels = make_levels(**{"dims": dims, "levels": 4, "base": 4, "growth": 1.35, **settings})
    points = torch.cat((torch.rand(50, dims), torch.zeros(1, dims), torch.ones(1, dims)))
    index, weight = all_corners(points.unbind(dim=1), levels, interpolation, border)
    for number, level in enumerate(levels):
        expected = corners(points, level, interpolation, border)
        assert torch.equal(index[:, number].T, expected[0] + level.offset)
        torch.testing.assert_close(weight[:, number].T, expected[1])


def test_the_corners_of_a_mesh_are_those_of_its_points() -> None:
    levels, axes = make_levels(2, 3, 4, 1.5), (torch.rand(3), torch.rand(5))
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 1)
    on_mesh = all_corners((axes[0][:, None], axes[1][None]), levels)
    at_points = all_corners(points.unbind(dim=1), levels)
    for ours, expected in zip(on_mesh, at_points, strict=True):
        assert torch.equal(ours.flatten(2), expected)
