from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.codec.tensors import DTYPES, LevelsCut, VolumeCut, from_numbers, grid_cuts, to_numbers
from fields.grids import MultiResGrid
from fields.nodes import build
from fields.quantisation import as_pictures, quantise
from fields.sparse_grid import SparseGrid3D
from tests.fields.codec.small_videos import NODES, NVP


@pytest.mark.parametrize("form", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (2, 0, 4)])
def test_numbers_of_every_type_and_shape_come_back(form: str, shape: tuple[int, ...]) -> None:
    tensor = (torch.rand(shape) * 9).to(DTYPES[form])
    found = from_numbers(to_numbers(tensor, form, "x"), form, shape)
    assert found.dtype is DTYPES[form] and found.shape == shape and torch.equal(found, tensor)


def test_special_numbers_come_back_bit_by_bit() -> None:
    tensor = torch.tensor([math.inf, -math.inf, -0.0, 1e-45])
    found = from_numbers(to_numbers(tensor, "float32", "x"), "float32", (4,))
    assert torch.equal(found.view(torch.int32), tensor.view(torch.int32))


def test_numbers_of_another_size_or_type_are_refused() -> None:
    data = to_numbers(torch.ones(4), "float32", "x")
    for form, shape in (("float32", (5,)), ("float64", (4,)), ("float32", (10**9, 10**9))):
        with pytest.raises(InputError, match="do not hold"):
            from_numbers(data, form, shape)
    with pytest.raises(InputError, match="form 'object'"):
        from_numbers(data, "object", (4,))


def test_grids_of_a_field_are_found_by_the_names_of_their_tensors() -> None:
    field = build(NVP, 1000)
    names = ["planes.yx.table", "planes.tx.table", "planes.ty.table", "sparse.embeddings"]
    assert list(grid_cuts(field, 8)) == names and set(names) <= set(field.state_dict())
    assert list(grid_cuts(MultiResGrid(2, 1), 8)) == ["table"]
    assert grid_cuts(build(NODES["siren"], 1000), 8) == {}


def test_levels_are_cut_as_pictures_of_each_channel() -> None:
    grid = MultiResGrid(2, levels=2, base=4, growth=2.0, features=3, max_resolution=(5, 7))
    cut = LevelsCut(grid)
    assert [(piece.shape, piece.smooth) for piece in cut.pieces()] == [((3, 4, 4), True), ((3, 7, 5), True)]
    stacks, low, high = cut.split(grid.table.detach())
    table = grid.level_tables()[1].detach()
    number, lowest, highest = quantise(table)
    assert torch.equal(stacks[1], as_pictures(number, (5, 7)))
    assert torch.equal(low[3:], lowest) and torch.equal(high[3:], highest)
    assert (cut.join(stacks, low, high) - grid.table).abs().max() <= 0.501 * (high - low).max() / 255


@pytest.mark.parametrize("settings", [{"storage": "hash", "log2_table": 4}, {"storage": "tiled"}, {"align": 8}])
def test_hashed_wrapped_or_padded_levels_are_no_pictures(settings: dict) -> None:
    grid = MultiResGrid(2, levels=2, base=3, growth=2.0, **settings)
    pieces = LevelsCut(grid).pieces()
    assert not pieces[1].smooth and pieces[1].shape == (2, 1, grid.levels[1].size)
    assert not any(piece.smooth for piece in LevelsCut(MultiResGrid(3, 1, 4)).pieces())


@pytest.mark.parametrize("group", [1, 2, 5, 9])
def test_volumes_are_cut_into_groups_of_slices_of_each_channel(group: int) -> None:
    grid = SparseGrid3D((5, 3, 4), 2)
    cut = VolumeCut(grid, group)
    cells = grid.embeddings.detach()
    stacks, low, high = cut.split(cells)
    assert [tuple(stack.shape) for stack in stacks] == [piece.shape for piece in cut.pieces()]
    assert len(stacks) == 2 * math.ceil(5 / group)
    assert torch.equal(stacks[1], quantise(cells)[0][:group, ..., 1])
    assert (cut.join(stacks, low, high) - cells).abs().max() <= 0.501 * (high - low).max() / 255
