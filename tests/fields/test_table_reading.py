from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from fields.table_reading import groups_last, read_rows, read_weighted

INDEX = torch.tensor([[0, 3, 3], [4, 0, 1]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("index", [INDEX, INDEX.int()])
def test_rows_and_their_gradient_are_those_of_indexing(channels: int, index: torch.Tensor, dtype: torch.dtype) -> None:
    table = torch.randn(5, channels, dtype=dtype, requires_grad=True)
    gradient, weight = torch.randn(2, 3, channels, dtype=dtype), torch.rand(2, 3)
    expected = table[index.long()]
    assert torch.equal(read_rows(table, index), expected)
    ours = torch.autograd.grad(read_rows(table, index), table, gradient)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, table, gradient))

    weighted = (table[index.long()] * weight[..., None]).sum(dim=0)
    torch.testing.assert_close(read_weighted(table, index, weight).to(weighted.dtype), weighted)
    ours = torch.autograd.grad(read_weighted(table, index, weight), table, gradient[0])
    theirs = torch.autograd.grad(weighted, table, gradient[0].to(weighted.dtype))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("channels", [2, 3])
def test_derivatives_of_first_and_second_order(channels: int) -> None:
    table = torch.randn(5, channels, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    for check in (gradcheck, gradgradcheck):
        assert check(lambda values: read_rows(values, INDEX) ** 2, (table,))
        assert check(lambda values, factors: read_weighted(values, INDEX, factors) ** 2, (table, weight))


def test_rows_without_points() -> None:
    table = torch.randn(5, 2, requires_grad=True)
    out = read_weighted(table, INDEX[:, :0], torch.rand(2, 0))
    assert out.shape == (0, 2)
    (gradient,) = torch.autograd.grad(out.sum(), table)
    assert torch.equal(gradient, torch.zeros(5, 2))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_groups_of_rows_stand_side_by_side(channels: int) -> None:
    rows = torch.randn(3, 4, 5, channels, requires_grad=True)
    expected = rows.permute(1, 2, 0, 3).flatten(2)
    assert torch.equal(groups_last(rows), expected)
    gradient = torch.randn_like(expected)
    assert torch.equal(*(torch.autograd.grad(out, rows, gradient)[0] for out in (groups_last(rows), expected)))
