from __future__ import annotations

import torch

from fields.coords import mesh, times
from fields.instant_ngp import InstantNGP
from fields.interface import parameter_groups


def test_size_of_the_small_field_and_its_groups() -> None:
    field = InstantNGP((16, 32, 32), levels=6, base=4, growth=1.5, log2_table=11)
    groups = {group["name"]: sum(one.numel() for one in group["params"]) for group in parameter_groups(field)}
    assert groups == {"network": 5187, "grids": 14_320}
    assert [level.hashed for level in field.grid.levels] == [False] * 3 + [True] * 3


def test_the_first_and_last_elements_lie_at_the_ends_of_the_grid() -> None:
    field = InstantNGP((3, 5, 7), levels=2, base=4, log2_table=6, hidden=(8,))
    ends = [torch.cat((times(3)[[i]], mesh((5, 7))[i, i]))[None] for i in (0, -1)]
    expected = field.mlp(field.grid(torch.tensor([[0.0] * 3, [1.0] * 3])))
    torch.testing.assert_close(field(torch.cat(ends)), expected, rtol=1e-4, atol=1e-6)
