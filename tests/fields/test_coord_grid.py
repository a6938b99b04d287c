from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from errors import InputError
from fields.coord_grid import CoordGrid, Padding, along_axis, read_line
from fields.interface import parameter_groups
from fields.quantisers import MinMax

SHAPES = [(5,), (4, 7), (3, 2, 5)]


def filled(*args: object, **kwargs: object) -> CoordGrid:
    grid = CoordGrid(*args, **kwargs)
    torch.nn.init.normal_(grid.values, generator=torch.Generator().manual_seed(3))
    return grid


def places(count: int, num_axes: int, reach: float = 1.0) -> Tensor:
    return (torch.rand(count, num_axes, generator=torch.Generator().manual_seed(5)) * 2 - 1) * reach


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_the_same_as_torchs_own_sampling(shape: tuple[int, ...], padding: str) -> None:
    grid, coords = filled(shape, 3, padding=padding), places(40, len(shape), 1.6)
    table, points = grid.values[None], coords.flip(-1)
    if len(shape) == 1:  # which knows no lines
        table, points = table[..., None], torch.cat((torch.zeros_like(coords), coords), dim=-1)
    points = points.reshape(1, 40, *[1] * (table.ndim - 3), -1)
    expected = F.grid_sample(table, points, padding_mode=padding, align_corners=True).reshape(3, 40).t()
    torch.testing.assert_close(grid(coords), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_knots_are_read_exactly_the_last_ones_included(shape: tuple[int, ...]) -> None:
    grid = filled(shape, 2)
    knots = torch.cartesian_prod(*(torch.linspace(-1, 1, n) for n in shape)).reshape(*shape, len(shape))
    torch.testing.assert_close(grid(knots).movedim(-1, 0), grid.values, rtol=0, atol=1e-6)
    ends = torch.tensor([[-1.0], [1.0]]).expand(2, len(shape))
    corners = torch.stack((grid.values.flatten(1)[:, 0], grid.values.flatten(1)[:, -1]))
    assert torch.equal(grid(ends), corners)


def test_linear_between_five_knots() -> None:
    grid = filled((5,))
    t = torch.linspace(-0.5, 0.0, 9)[:, None]
    share = torch.linspace(0, 1, 9)[:, None]
    torch.testing.assert_close(grid(t), (1 - share) * grid.values[0, 1] + share * grid.values[0, 2], rtol=0, atol=1e-6)


def test_beyond_the_knots_the_last_is_repeated_or_all_fades_within_one_spacing() -> None:
    outside = torch.tensor([[1.25], [1.5], [3.0], [-1.25], [-50.0]])
    border, zeros = CoordGrid((5,), initial=2.0), CoordGrid((5,), initial=2.0, padding="zeros")
    assert torch.equal(border(outside), torch.full((5, 1), 2.0))
    torch.testing.assert_close(zeros(outside)[:, 0], torch.tensor([1.0, 0, 0, 1, 0]))


def test_a_circle_has_no_seam() -> None:
    grid = filled((6, 3), 2, periodic=(True, False))
    high = places(8, 1)
    near = [grid(torch.cat((torch.full_like(high, x), high), dim=-1)) for x in (-1.0, 1.0, 1 - 1e-6, 3.0)]
    for other in near[1:]:
        torch.testing.assert_close(other, near[0], rtol=0, atol=1e-4)
    last = grid(torch.tensor([[-1 + 2 * 5 / 6, -1.0]]))
    torch.testing.assert_close(last[0], grid.values[:, 5, 0], rtol=0, atol=1e-5)
    between = grid(torch.tensor([[1 - 1 / 6, -1.0]]))  # halfway from the last knot to the first
    torch.testing.assert_close(between[0], (grid.values[:, 5, 0] + grid.values[:, 0, 0]) / 2, rtol=0, atol=1e-5)


def test_a_turn_of_the_circle_changes_nothing() -> None:
    grid, x = filled((7,), periodic=(True,)), places(50, 1)
    for turns in (-2, 1, 5):
        torch.testing.assert_close(grid(x + 2 * turns), grid(x), rtol=0, atol=2e-5)
    below = torch.tensor([[math.nextafter(-1.0, -2.0)]], dtype=torch.float64).float()
    torch.testing.assert_close(grid(below), grid(-torch.ones(1, 1)))


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_one_knot_is_constant(periodic: bool, padding: str) -> None:
    grid = filled((1, 4), padding=padding, periodic=(periodic, False))
    a, b = torch.tensor([[-1.0, 0.3], [0.7, 0.3]])
    assert torch.equal(grid(a[None]), grid(b[None]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("periodic", [True, False])
def test_gradients_of_gradients_by_grid_and_coordinates(shape: tuple[int, ...], periodic: bool) -> None:
    grid = filled(shape, 2, periodic=(periodic,) * len(shape)).double()
    coords = (places(4, len(shape)).double() * 0.93).requires_grad_()

    def read(values: Tensor, coords: Tensor) -> Tensor:
        return torch.func.functional_call(grid, {"values": values}, (coords,)).tanh()

    values = grid.values.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(read, (values, coords))
    assert torch.autograd.gradgradcheck(read, (values, coords))


def test_grids_stay_float32_where_all_else_is_half() -> None:
    grid, coords = filled((5, 5)), places(9, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(grid(coords), grid(coords).float())
        found = grid(coords)
    assert found.dtype == torch.float32
    assert torch.equal(found, grid(coords))
    assert grid(coords.half()).dtype == torch.float32


def test_grids_are_a_group_of_parameters_of_their_own() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), CoordGrid((4,)))
    network_group, grids = parameter_groups(network)
    assert len(network_group["params"]) == 2
    assert grids["params"] == [network[1].values]


def test_what_is_read_is_quantised_and_what_is_kept_is_not() -> None:
    grid = filled((9,), quantiser=MinMax(3))
    found = grid(torch.linspace(-1, 1, 9)[:, None])[:, 0]
    assert len(found.unique()) <= 7 < len(grid.values.unique())


def test_every_sample_reads_its_own_line() -> None:
    values, t = torch.randn(2, 3, 6, 4), torch.rand(2, 3, 5) * 2.4 - 1.2
    found = read_line(values, t)
    for a in range(2):
        for b in range(3):
            grid = CoordGrid((6,), 4)
            grid.load_state_dict({"values": values[a, b].t()})
            torch.testing.assert_close(found[a, b], grid(t[a, b, :, None]), rtol=0, atol=1e-6)


def test_lines_have_gradients_of_gradients() -> None:
    values = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([[-0.8, 0.1], [0.5, 0.93]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda values, t: read_line(values, t).sin(), (values, t))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_coordinates_that_are_not_finite_are_refused(broken: float) -> None:
    coords = torch.zeros(3, 2)
    coords[1, 0] = broken
    with pytest.raises(InputError, match="NaN or infinite"):
        CoordGrid((3, 3))(coords)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(InputError, match="1 to 3 axes"):
        CoordGrid((2, 2, 2, 2))
    with pytest.raises(InputError, match="at least one knot"):
        CoordGrid((3, 0))
    with pytest.raises(InputError, match="one value for each of 2 axes"):
        CoordGrid((3, 3), periodic=(True,))
    with pytest.raises(InputError, match="coordinates of 2 axes"):
        CoordGrid((3,))(torch.zeros(4, 2))


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("periodic", [False, True])
def test_places_that_are_not_finite_stay_on_the_knots_and_nan_stays_nan(padding: Padding, periodic: bool) -> None:
    """What a device does that is not asked whether coordinates are finite."""
    knots, weights = along_axis(torch.tensor([math.nan, math.inf, -math.inf]), 5, padding, periodic)
    assert all(((knot >= 0) & (knot < 5)).all() for knot in knots)
    assert all(weight[0].isnan() for weight in weights)
    if padding == "border" and not periodic:
        lower, upper = (knot.float() * weight for knot, weight in zip(knots, weights, strict=True))
        assert (lower + upper)[1:].tolist() == [4.0, 0.0]


def test_a_device_is_not_asked_whether_coordinates_are_finite() -> None:
    """Of a tensor without values nothing can be asked: this raises if anything is."""
    with torch.device("meta"):
        assert CoordGrid((3, 4), 2)(torch.zeros(7, 2)).shape == (7, 2)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_a_gpu_reads_what_the_host_reads_derivatives_included(shape: tuple[int, ...]) -> None:
    grid, coords = filled(shape, 2, periodic=(True, *[False] * (len(shape) - 1))), places(50, len(shape), 1.4)
    found = []
    for device in ("cpu", "cuda"):
        points, moved = coords.to(device).requires_grad_(), copy.deepcopy(grid).to(device)
        values = moved(points)
        by_points, by_knots = torch.autograd.grad(values.square().sum(), (points, moved.values), create_graph=True)
        second = torch.autograd.grad(by_points.square().sum() + by_knots.square().sum(), (points, moved.values))
        found.append([x.detach().cpu() for x in (values, by_points, by_knots, *second)])
    for on_host, on_gpu in zip(*found, strict=True):
        torch.testing.assert_close(on_gpu, on_host, rtol=1e-3, atol=1e-3)
