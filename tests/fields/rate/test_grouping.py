from __future__ import annotations

import torch

from fields.instant_ngp import InstantNGP
from fields.nvp import NVP
from fields.rate.grouping import groupings

NVP_ARGS = {"levels": 2, "base": 3, "growth": 1.5, "sparse_shape": [4, 3, 5], "width": 4, "depth": 1, "capped": True}


def test_levels_and_channels_of_planes_and_channels_of_volumes_are_groups() -> None:
    field = NVP((4, 6, 8), **NVP_ARGS)
    found = {one.name: one for one in groupings(field)}
    assert list(found) == [name for name, _ in field.named_parameters()]
    plane = found["planes.tx.table"]
    assert plane.sizes == tuple(level.size for level in field.planes["tx"].levels) and plane.count == 4
    assert plane.pictures == tuple((1, *level.resolution[::-1]) for level in field.planes["tx"].levels)
    volume = found["sparse.embeddings"]
    assert (volume.sizes, volume.channels, volume.pictures, volume.is_volume) == ((60,), 2, ((4, 3, 5),), True)
    weight = found["synthesiser.last.weight"]
    assert (weight.count, weight.pictures, weight.is_volume) == (1, None, False)


def test_numbers_of_groups_come_to_every_entry() -> None:
    group = next(one for one in groupings(NVP((4, 6, 8), **NVP_ARGS)) if one.name == "planes.yx.table")
    spread = group.spread(torch.arange(group.count))
    first = group.sizes[0]
    assert torch.equal(spread[:first], torch.tensor([0, 1]).expand(first, 2))
    assert torch.equal(spread[first:], torch.tensor([2, 3]).expand(group.sizes[1], 2))


def test_pictures_have_the_cells_where_they_are_and_come_back() -> None:
    field = NVP((4, 6, 8), **NVP_ARGS)
    for group in groupings(field):
        if group.pictures is not None:
            tensor = torch.randn(group.shape)
            matrix = group.matrix(tensor)
            assert torch.equal(group.unstack(group.stacks(matrix)), matrix)
            if group.is_volume:
                stack = group.stacks(matrix)[0]
                assert stack[2 * 2 + 1, 1, 4] == tensor[2, 1, 4, 1]  # slice 2, channel 1


def test_hashed_tables_are_no_pictures() -> None:
    field = InstantNGP((4, 6, 8), levels=2, base=4, log2_table=5, hidden=(4,))
    table = next(one for one in groupings(field) if one.name.endswith("table"))
    assert table.pictures is None and table.count == 2 * table.channels
