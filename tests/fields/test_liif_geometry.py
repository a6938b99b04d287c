from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fields.coords import axes_of, mesh
from fields.liif_geometry import member_points, members, shares


def naive(point: Tensor, size: tuple[int, int]) -> tuple[list[int], list[tuple[float, float]]]:
    """Places of the four latents around a point, and the offsets from them, in float64."""
    indices, offsets = [], []
    for v in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        places, ways = [], []
        for side, c, n in zip(v, point.double().tolist(), size, strict=True):
            shifted = min(max(c + side / n + 1e-6, -1 + 1e-6), 1 - 1e-6)
            place = int((shifted + 1) * n / 2)
            places.append(place)
            ways.append((c - (2 * (place + 0.5) / n - 1)) * n)
        indices.append(places[0] * size[1] + places[1])
        offsets.append(tuple(ways))
    return indices, offsets


def test_members_are_the_four_latents_around() -> None:
    size, coords = (5, 8), torch.rand(1, 200, 2) * 2 - 1
    found = members(coords, size, ensemble=True)
    for n, point in enumerate(coords[0]):
        indices, offsets = naive(point, size)
        assert found.index[:, 0, n].tolist() == indices
        torch.testing.assert_close(found.offset[:, 0, n], torch.tensor(offsets), rtol=0, atol=2e-6)


def test_weights_are_areas_of_the_opposite_and_sum_to_one() -> None:
    coords = (torch.rand(2, 300, 2) * 2 - 1) * 0.8  # away from the outer half cells of 5 x 8 latents
    found = members(coords, (5, 8), ensemble=True)
    torch.testing.assert_close(found.weight.sum(dim=0), torch.ones(2, 300))
    torch.testing.assert_close(found.weight, (2 - found.offset.abs()).prod(dim=-1) / 4, rtol=0, atol=1e-5)


def test_alone_the_nearest_latent_has_all_the_weight() -> None:
    found = members(mesh((10, 24)).flatten(0, 1)[None], (5, 8), ensemble=False)
    assert found.index.shape == (1, 1, 240)
    assert torch.equal(found.weight, torch.ones(1, 1, 240))
    assert float(found.offset.abs().max()) <= 1
    expected = torch.arange(40).view(5, 8).repeat_interleave(2, 0).repeat_interleave(3, 1)
    assert torch.equal(found.index.view(10, 24), expected)


def test_a_point_on_a_centre_goes_to_that_latent() -> None:
    size = (5, 8)
    coords = mesh(size)[:-1, :-1].flatten(0, 1)[None]
    found = members(coords, size, ensemble=True)
    assert torch.equal(found.index[0, 0], torch.arange(40).view(size)[:-1, :-1].flatten())
    torch.testing.assert_close(found.weight[0], torch.ones(1, 28), rtol=0, atol=1e-6)


@pytest.mark.parametrize("corner", [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])
def test_in_the_outer_half_cell_members_are_one_latent(corner: tuple[float, float]) -> None:
    found = members(torch.tensor([[corner]]), (5, 8), ensemble=True)
    expected = (0 if corner[0] < 0 else 4) * 8 + (0 if corner[1] < 0 else 7)
    assert found.index.flatten().tolist() == [expected] * 4
    torch.testing.assert_close(found.offset, torch.tensor(corner).expand(4, 1, 1, 2))


def test_ties_go_to_the_even_latent_as_in_grid_sampling() -> None:
    boundaries = torch.tensor([2 * k / 8 - 1 for k in range(1, 8)])
    coords = torch.stack((torch.zeros(7), boundaries), dim=-1)[None]
    index = members(coords, (1, 8), ensemble=False).index.flatten()
    values = torch.arange(8.0).view(1, 1, 1, 8)
    sampled = torch.nn.functional.grid_sample(values, coords.flip(-1)[:, None], mode="nearest", align_corners=False)
    assert index.tolist() == sampled.long().flatten().tolist() == [0, 2, 2, 4, 4, 6, 6]


def test_offsets_refer_to_our_centres_bit_for_bit() -> None:
    coords = torch.rand(1, 50, 2) * 2 - 1
    rows, columns = axes_of((5, 8))
    found = members(coords, (5, 8), ensemble=False)
    place = found.index[0, 0]
    centres = torch.stack((rows[place // 8], columns[place % 8]), dim=-1)
    assert torch.equal(found.offset[0, 0], (coords[0] - centres) * torch.tensor([5.0, 8.0]))


def test_no_weight_is_lost_where_all_areas_vanish() -> None:
    torch.testing.assert_close(torch.stack(shares([torch.zeros(1, 1, 2)] * 4)), torch.full((4, 1, 1), 0.25))


def test_member_points_stay_inside() -> None:
    points = torch.stack(member_points(torch.tensor([[[-1.0, 1.0], [3.0, -3.0]]]), (2, 2), ensemble=True))
    assert float(points.abs().max()) < 1
