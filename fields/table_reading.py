"""Reading rows of a table, and adding to them: what grids spend their time on, and its derivatives of any order.

torch's own indexing sums gradients of rows one row at a time. Here a pair of float32 channels travels as one complex
number, so that rows of two channels, which is what NVP and Instant-NGP have, are gathered and added as single elements.

Shape legend
    N       points
    K       rows that each point reads
    L       levels, or other groups of rows of a point
    V       rows of the table
    C       channels
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor


def _as_elements(rows: Tensor) -> Tensor:
    """Rows ``[..., C]`` as elements ``[..., E]``: pairs of channels as complex numbers where there are pairs."""
    if rows.shape[-1] % 2 or rows.dtype not in (torch.float32, torch.float64):
        return rows
    return torch.view_as_complex(rearrange(rows.contiguous(), "... (e two) -> ... e two", two=2))


def _element_index(index: Tensor, num_elements: int) -> Tensor:
    """Places of the elements of rows in the flat table ``[..., E]``."""
    if num_elements == 1:
        return index.long()[..., None]
    return index.long()[..., None] * num_elements + torch.arange(num_elements, device=index.device)


def _gather(table: Tensor, index: Tensor) -> Tensor:
    """Rows ``[*index, C]`` of a table ``[V, C]``."""
    elements = _as_elements(table)
    where = _element_index(index, elements.shape[-1])
    found = elements.reshape(-1).gather(0, where.reshape(-1)).reshape(where.shape)
    return torch.view_as_real(found).flatten(-2) if found.is_complex() else found


def _scatter(rows: Tensor, index: Tensor, weight: Tensor | None, num_rows: int) -> Tensor:
    """A table ``[V, C]`` of the sums of rows with the same index, each times its weight.

    Args:
        rows: ``[*N, C]``; with weights, each for all the K entries of its point.
        index: ``[*N]``, or with weights ``[K, *N]``.
        weight: Like ``index``, or None.
        num_rows: Of the table.
    """
    elements = _as_elements(rows)
    if weight is not None:
        elements = elements * weight[..., None]
    where = _element_index(index, elements.shape[-1]).reshape(-1)
    table = elements.new_zeros(num_rows * elements.shape[-1]).scatter_add_(0, where, elements.reshape(-1))
    return (torch.view_as_real(table) if table.is_complex() else table).reshape(num_rows, rows.shape[-1])


class _Read(torch.autograd.Function):
    """Rows of a table; its derivative is `_Add`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.num_rows = len(table)
        return _gather(table, index)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return _Add.apply(gradient, *ctx.saved_tensors, ctx.num_rows), None


class _Add(torch.autograd.Function):
    """A table of the sums of rows; its derivative is `_Read`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, index: Tensor, num_rows: int) -> Tensor:
        ctx.save_for_backward(index)
        return _scatter(rows, index, None, num_rows)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Read.apply(gradient, *ctx.saved_tensors), None, None


def _dots(table: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Products ``[K, *N]`` of the rows of points ``[*N, C]`` with the entries that these read."""
    return (_Read.apply(table, index) * rows).sum(dim=-1)


class _ReadMean(torch.autograd.Function):
    """Weighted sums of rows; its derivative by the table is `_AddMean`, that by the weights are products."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(table if ctx.needs_input_grad[2] else None, index, weight)
        ctx.num_rows = len(table)
        elements = (_as_elements(_gather(table, index)) * weight[..., None]).sum(dim=0)
        return torch.view_as_real(elements).flatten(-2) if elements.is_complex() else elements

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None]:
        table, index, weight = ctx.saved_tensors
        by_table = _AddMean.apply(gradient, index, weight, ctx.num_rows) if ctx.needs_input_grad[0] else None
        return by_table, None, _dots(table, index, gradient) if ctx.needs_input_grad[2] else None


class _AddMean(torch.autograd.Function):
    """A table of the sums of weighted rows; its derivative by the rows is `_ReadMean`."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, rows: Tensor, index: Tensor, weight: Tensor, num_rows: int
    ) -> Tensor:
        ctx.save_for_backward(rows, index, weight)
        return _scatter(rows, index, weight, num_rows)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None, None]:
        rows, index, weight = ctx.saved_tensors
        by_rows = _ReadMean.apply(gradient, index, weight) if ctx.needs_input_grad[0] else None
        return by_rows, None, _dots(gradient, index, rows) if ctx.needs_input_grad[2] else None, None


def read_rows(table: Float[Tensor, "V C"], index: Int[Tensor, "*N"]) -> Float[Tensor, "*N C"]:
    """Rows of a table.

    Args:
        table: To read.
        index: Which rows.
    """
    return _Read.apply(table, index)


def read_weighted(
    table: Float[Tensor, "V C"], index: Int[Tensor, " K *N"], weight: Float[Tensor, " K *N"]
) -> Float[Tensor, "*N C"]:
    """Weighted sums of rows of a table.

    Args:
        table: To read.
        index: Which rows each point reads.
        weight: Of each; may have derivatives as well.
    """
    return _ReadMean.apply(table, index, weight.to(table.dtype))


def groups_last(rows: Float[Tensor, "L *N C"]) -> Float[Tensor, "*N LC"]:
    """The rows of every point side by side, a group after the other.

    Args:
        rows: Groups first.
    """
    elements = _as_elements(rows).movedim(0, -2).contiguous()
    return (torch.view_as_real(elements).flatten(-2) if elements.is_complex() else elements).flatten(-2)
