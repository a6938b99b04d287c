from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from fields.coords import mesh, times
from fields.interface import parameter_groups, ranges, render_points
from fields.mlp import MLP


class WithGrid(nn.Module):
    grid_parameters = ("table",)

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(4))
        self.network = MLP(3, 3, (8,))

    def forward(self, coords: Tensor) -> Tensor:
        return self.network(coords)


def test_grids_form_a_group_of_their_own() -> None:
    module = nn.ModuleDict({"a": WithGrid(), "b": nn.Linear(2, 2)})
    network, grids = parameter_groups(module)
    assert (network["name"], grids["name"]) == ("network", "grids")
    assert [id(one) for one in grids["params"]] == [id(module["a"].table)]
    assert len(network["params"]) == 6


def test_frozen_parameters_and_empty_groups_are_left_out() -> None:
    module = WithGrid()
    module.table.requires_grad_(False)
    assert [group["name"] for group in parameter_groups(module)] == ["network"]


def test_ranges_cover_everything_once() -> None:
    assert [list(range(10))[part] for part in ranges(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(InputError, match="chunk 0"):
        ranges(10, 0)


def test_frames_of_a_field_of_points_are_its_values_at_pixel_centres() -> None:
    frames = render_points(lambda points: points, times(2), (4, 6), chunk=7)
    assert frames.shape == (2, 3, 4, 6)
    assert torch.equal(frames[1, 0], torch.full((4, 6), 0.5))
    assert torch.equal(frames[0, 1:], mesh((4, 6)).permute(2, 0, 1))


@pytest.mark.parametrize("chunk", [1, 5, 64, 100])
def test_any_chunk_and_window_give_the_same_picture(chunk: int) -> None:
    field = MLP(2, 3, (16, 16))
    whole = render_points(field, None, (8, 9))
    torch.testing.assert_close(render_points(field, None, (8, 9), chunk=chunk), whole, rtol=0, atol=1e-6)
    window = render_points(field, None, (8, 9), (1, 2, 7, 5), chunk)
    torch.testing.assert_close(window, whole[..., 1:7, 2:5], rtol=0, atol=1e-6)
