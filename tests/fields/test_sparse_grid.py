from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.sparse_grid import SparseGrid3D, nearest_cell, neighbours


def numbered(*shape: int, **settings: object) -> SparseGrid3D:
    """A grid whose single feature is the number of the cell."""
    grid = SparseGrid3D(shape, features=1, **settings)
    with torch.no_grad():
        grid.embeddings.copy_(torch.arange(grid.embeddings.numel()).reshape(grid.embeddings.shape))
    return grid.requires_grad_(False)


def test_the_nearest_of_cells_whose_first_and_last_lie_at_the_ends() -> None:
    assert nearest_cell(torch.tensor([0.0, 0.124, 0.126, 0.5, 1.0]), 5).tolist() == [0, 0, 1, 2, 4]
    assert nearest_cell(torch.tensor([0.0, 1.0]), 1).tolist() == [0, 0]


def test_neighbours_stay_inside() -> None:
    assert neighbours(torch.tensor([0, 2, 3]), 3, 4).T.tolist() == [[0, 0, 1], [1, 2, 3], [2, 3, 3]]


def test_features_are_those_of_the_neighbourhood_row_by_row() -> None:
    grid = numbered(2, 4, 5)
    found = grid(torch.tensor([[1.0, 1 / 3, 0.5], [0.0, 0.0, 0.0]]))
    assert found[0].tolist() == [21, 22, 23, 26, 27, 28, 31, 32, 33]
    assert found[1].tolist() == [0, 0, 1, 0, 0, 1, 5, 5, 6]


def test_neighbours_in_time_come_slice_by_slice() -> None:
    grid = numbered(3, 2, 2, neighbourhood=(3, 1, 1))
    assert grid(torch.tensor([[0.5, 0.0, 1.0], [0.0, 1.0, 0.0]])).tolist() == [[1, 5, 9], [2, 2, 6]]


def test_blending_is_linear_in_time_and_meets_the_slices() -> None:
    grid = numbered(3, 2, 2, neighbourhood=(1, 1, 1))
    moments = torch.tensor([0.0, 0.125, 0.5, 0.75, 1.0])
    points = torch.stack((moments, torch.zeros(5), torch.ones(5)), dim=1)
    torch.testing.assert_close(grid(points, blend_time=True)[:, 0], 1 + 8 * moments)


def test_gradients_reach_the_cells_that_are_read_alone() -> None:
    grid = SparseGrid3D((1, 5, 5), features=2)
    (gradient,) = torch.autograd.grad(grid(torch.tensor([[0.0, 0.0, 0.5]])).sum(), grid.embeddings)
    expected = torch.zeros(5, 5)
    expected[0, 1:4], expected[1, 1:4] = 2, 1  # the row at the border stands for the one beyond it, too
    assert torch.equal(gradient, expected[None, ..., None].expand(1, 5, 5, 2))


@pytest.mark.parametrize("blend", [False, True])
@pytest.mark.parametrize("upsample", [False, True])
def test_a_mesh_gives_the_features_of_its_points(upsample: bool, blend: bool) -> None:
    grid = SparseGrid3D((3, 4, 5), upsample=upsample)
    axes = [torch.rand(n) for n in (2, 6, 7)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    expected = grid(points.flatten(0, 2), blend).reshape(2, 6, 7, -1)
    torch.testing.assert_close(grid.on_mesh(axes, blend), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"shape": (0, 3, 3)}, {"shape": (3, 3)}, {"neighbourhood": (1, 2, 3)}, {"shape": (2**11, 2**11, 2**11)}],
)
def test_settings_that_cannot_be_are_refused_before_memory_is_taken(settings: dict) -> None:
    with pytest.raises(InputError):
        SparseGrid3D(**{"shape": (2, 3, 3), **settings})
