from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.grids import MultiResGrid
from fields.quantisation import as_pictures, dequantise, from_pictures, quantise


def test_bytes_are_within_half_a_step_and_reach_both_ends() -> None:
    values = torch.randn(7, 8, 3) * torch.tensor([1.0, 10.0, 0.01])
    number, low, high = quantise(values)
    assert (number.flatten(0, 1).amin(0) == 0).all() and (number.flatten(0, 1).amax(0) == 255).all()
    step = (high - low) / 255
    assert ((dequantise(number, low, high) - values).abs() <= 0.501 * step).all()


def test_a_constant_channel_is_restored_exactly() -> None:
    values = torch.tensor([[0.3, 1.0], [0.3, 2.0]])
    number, low, high = quantise(values)
    assert number[:, 0].tolist() == [0, 0]
    assert torch.equal(dequantise(number, low, high), values)


def test_bytes_of_bytes_are_the_same() -> None:
    number, low, high = quantise(torch.randn(100, 2))
    again, _, _ = quantise(dequantise(number, low, high))
    assert torch.equal(number, again)


@pytest.mark.parametrize("values", [torch.zeros(0, 2), torch.tensor([[1.0, float("nan")]])])
def test_what_has_no_range_is_refused(values: torch.Tensor) -> None:
    with pytest.raises(InputError, match="quantise"):
        quantise(values)


def test_the_first_axis_of_a_grid_runs_along_the_rows_of_its_pictures() -> None:
    grid = MultiResGrid(2, levels=1, base=4, features=2, max_resolution=(3, 4))
    with torch.no_grad():
        grid.table.copy_(torch.arange(24.0).reshape(12, 2))
    (table,) = grid.level_tables()
    pictures = as_pictures(table, grid.levels[0].resolution)
    assert pictures.shape == (2, 4, 3)
    assert pictures[0, :2].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert torch.equal(from_pictures(pictures), table)
