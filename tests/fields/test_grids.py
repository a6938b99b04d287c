"""Grids of several resolutions: both backends agree, and closed forms."""

from __future__ import annotations

import itertools

import pytest
import torch

from errors import InputError
from fields.grids import MultiResGrid

SETTINGS = {
    "dense": {"dims": 2},
    "volume": {"dims": 3, "growth": 1.6, "features": 4},
    "line": {"dims": 1, "features": 3},
    "aligned": {"dims": 2, "growth": 2.0, "base": 3, "align": 8},
    "hash": {"dims": 3, "storage": "hash", "log2_table": 6, "align": 8, "growth": 1.7},
    "tiled": {"dims": 2, "storage": "tiled", "growth": 1.6},
    "smooth": {"dims": 2, "interpolation": "smoothstep", "border": "clamp"},
    "nearest": {"dims": 2, "interpolation": "nearest", "border": "clamp"},
    "cut": {"dims": 2, "max_resolution": (3, 6), "border": "clamp"},
    "cut to one": {"dims": 2, "max_resolution": (1, 6)},
}


def pair(name: str) -> tuple[MultiResGrid, MultiResGrid]:
    """The same grid with either backend."""
    settings = {"levels": 4, "base": 4, "growth": 1.35, **SETTINGS[name]}
    grids = [MultiResGrid(**settings, backend=backend) for backend in ("torch", "loop")]
    with torch.no_grad():
        grids[0].table.normal_()
    grids[1].load_flat(grids[0].flat())
    return grids[0], grids[1]


def points_of(dims: int) -> torch.Tensor:
    """Corners of the cube, and points inside and outside of it."""
    cube = torch.tensor(list(itertools.product((0.0, 1.0), repeat=dims)))
    return torch.cat((cube, torch.rand(50, dims) * 1.4 - 0.2))


@pytest.mark.parametrize("name", SETTINGS)
def test_all_levels_at_once_are_the_levels_one_by_one(name: str) -> None:
    grid, reference = pair(name)
    points = points_of(grid.dims)
    outs = [one(points) for one in (grid, reference)]
    torch.testing.assert_close(*outs)
    gradient = torch.randn_like(outs[0])
    by_table = [
        torch.autograd.grad(out, one.table, gradient)[0] for out, one in zip(outs, (grid, reference), strict=True)
    ]
    torch.testing.assert_close(*by_table)


@pytest.mark.parametrize("name", ["dense", "smooth", "hash", "cut"])
def test_derivatives_by_points_agree_in_both_orders(name: str) -> None:
    firsts, seconds = [], []
    grids = pair(name)
    points, weight = torch.rand(20, grids[0].dims), torch.randn(20, grids[0].out_dim)
    for grid in grids:
        x = points.clone().requires_grad_()
        (first,) = torch.autograd.grad((grid(x) * weight).sum(), x, create_graph=True)
        firsts.append(first)
        seconds.append(torch.autograd.grad((first**2).sum(), (grid.table, x)))
    torch.testing.assert_close(*firsts)
    assert firsts[0].abs().max() > 0
    torch.testing.assert_close(*seconds, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_mesh_gives_the_features_of_its_points(name: str) -> None:
    grid, _ = pair(name)
    axes = [torch.rand(n) for n in (3, 4, 5)[: grid.dims]]
    mesh = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    expected = grid(mesh.flatten(0, -2)).reshape(*mesh.shape[:-1], -1)
    torch.testing.assert_close(grid.on_mesh(axes), expected)


def test_a_vertex_lies_half_a_spacing_before_its_number() -> None:
    grid = MultiResGrid(2, levels=1, base=5, features=1)
    with torch.no_grad():
        grid.table.copy_(torch.arange(25.0)[:, None])
    column, row = torch.tensor(3), torch.tensor(2)
    point = torch.stack(((column - 0.5) / 4, (row - 0.5) / 4))[None]
    assert grid(point).item() == pytest.approx(3 + 5 * 2)  # the first axis is the fastest


def test_the_vertex_after_the_last_wraps_or_is_the_last() -> None:
    features = []
    for border in ("wrap", "clamp"):
        grid = MultiResGrid(1, levels=1, base=4, features=1, border=border)
        with torch.no_grad():
            grid.table.copy_(torch.tensor([[8.0], [1.0], [2.0], [4.0]]))
        features.append(grid(torch.ones(1, 1)).item())
    assert features == [pytest.approx((4 + 8) / 2), pytest.approx(4)]


def test_a_linear_function_is_kept_by_interpolation() -> None:
    grid = MultiResGrid(2, levels=1, base=9, features=1, border="clamp")
    with torch.no_grad():
        row, column = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
        grid.table.copy_((2 * column + 3 * row).reshape(-1, 1))
    points = torch.rand(30, 2) * 0.9
    torch.testing.assert_close(grid(points)[:, 0], (points * 8 + 0.5) @ torch.tensor([2.0, 3.0]))


def test_levels_that_are_cut_have_a_vertex_at_every_element() -> None:
    grid = MultiResGrid(2, levels=2, base=16, growth=2.0, features=1, max_resolution=(5, 7))
    assert [level.resolution for level in grid.levels] == [(5, 7), (5, 7)]
    values = torch.randn(2, 7, 5)
    grid.load_flat(values.flatten())
    found = grid.on_mesh([torch.arange(5) / 4, torch.arange(7) / 6])
    torch.testing.assert_close(found, values.permute(2, 1, 0), rtol=0, atol=1e-5)


def test_grids_start_near_zero_and_are_marked() -> None:
    grid = MultiResGrid(2, levels=3)
    assert 0.9e-4 < float(grid.table.detach().abs().max()) <= 1e-4
    assert [grid.get_parameter(name) is grid.table for name in grid.grid_parameters] == [True]
    assert [len(table) for table in grid.level_tables()] == [256, 484, 900]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": "sparse"}, "storage"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"border": "mirror"}, "border"),
        ({"backend": "cuda"}, "backend"),
        ({"levels": 0}, "levels"),
        ({"growth": float("nan")}, "growth"),
        ({"max_resolution": (4,)}, "max_resolution"),
        ({"dims": 9}, "dims"),
        ({"features": 0}, "features"),
        ({"levels": 30, "growth": 2.0}, "entries"),
        ({"levels": 10**9, "growth": 1.0, "base": 1}, "at most 64"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_memory_is_taken(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MultiResGrid(**{"dims": 2, **settings})


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="3 parameters are given"):
        MultiResGrid(2, levels=1).load_flat(torch.zeros(3))


@pytest.mark.gpu
@pytest.mark.parametrize("name", SETTINGS)
def test_another_device_gives_the_same_features_and_gradients(name: str) -> None:
    grid, _ = pair(name)
    points, found = points_of(grid.dims), []
    for device in ("cpu", "cuda"):
        grid = grid.to(device)
        out = grid(points.to(device))
        (gradient,) = torch.autograd.grad(out.square().sum(), grid.table)
        found.append((out.cpu(), gradient.cpu()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
