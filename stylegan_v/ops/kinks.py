"""Piecewise linear activations that stay on the pieces on which another pass had them.

A network of leaky ReLUs is linear between its kinks, and autograd takes derivatives on the piece on which it is. On the
way between two inputs, however near, some of its millions of activations change their piece, each a jump of the slope:
the difference of two such passes has little to do with a derivative of derivatives. That of passes which are held on
the pieces of a first one is that derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int8
from torch import Tensor
from torch.overrides import TorchFunctionMode

Pieces = list[Tensor]


def positive(x: Float[Tensor, "*N"]) -> Bool[Tensor, "*N"]:
    """On which side of 0; at 0 itself autograd takes the slope below."""
    return x.detach() > 0


def beyond(x: Float[Tensor, "*N"], low: float, high: float) -> Int8[Tensor, "*N"]:
    """-1 below, 0 within and 1 above a range whose ends belong to it."""
    x = x.detach()
    return (x > high).to(torch.int8) - (x < low).to(torch.int8)


def held_leaky_relu(
    x: Float[Tensor, "*N"], above: Bool[Tensor, "*N"], negative_slope: float = 0.01
) -> Float[Tensor, "*N"]:
    """A leaky ReLU on given sides of its kink.

    Args:
        x: Features.
        above: Whether the upper piece is meant; the lower one else.
        negative_slope: Of the lower piece.
    """
    return torch.where(above, x, x * negative_slope)


def held_clamp(x: Float[Tensor, "*N"], side: Int8[Tensor, "*N"], low: float, high: float) -> Float[Tensor, "*N"]:
    """A clamp on given pieces: ``side`` as `beyond` tells it; what lies beyond an end is that end."""
    return torch.where(side == 0, x, torch.where(side > 0, high, low).to(x.dtype))


class Kinks:
    """The pieces on which one forward pass had its leaky ReLUs and clamps, in the order of their calls.

    A byte for each activation. What counts is ``F.leaky_relu`` and a clamp of floating-point values by numbers.
    """

    def __init__(self) -> None:
        self.pieces: Pieces = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """In it, activations act as ever, and their pieces are kept instead of those known before."""
        self.pieces = []
        with _Recording(self.pieces):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """In it, the same calls in the same order stay on the recorded pieces.

        Raises:
            RuntimeError: They are not the same calls.
        """
        holding = _Holding(self.pieces)
        with holding:
            yield
        if holding.num_used != len(self.pieces):
            raise RuntimeError(f"{len(self.pieces)} activations were recorded, and {holding.num_used} came again")


class _Mode(TorchFunctionMode):
    """Sees every call of the two functions on floating-point tensors."""

    def __init__(self, pieces: Pieces) -> None:
        super().__init__()
        self.pieces = pieces

    def __torch_function__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        if func is F.leaky_relu:
            return self.leaky_relu(*args, **kwargs)
        if func in (Tensor.clamp, torch.clamp) and args[0].is_floating_point():
            return self.clamp(*args, **kwargs)
        return func(*args, **kwargs)


class _Recording(_Mode):
    def leaky_relu(self, x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
        self.pieces.append(positive(x))
        return F.leaky_relu(x, negative_slope, inplace)

    def clamp(self, x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
        self.pieces.append(beyond(x, *_ends(min, max)))
        return x.clamp(min, max)


class _Holding(_Mode):
    def __init__(self, pieces: Pieces) -> None:
        super().__init__(pieces)
        self.num_used = 0

    def _next(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        piece = self.pieces[self.num_used] if self.num_used < len(self.pieces) else None
        if piece is None or piece.shape != x.shape or piece.dtype != dtype:
            raise RuntimeError(f"activation {self.num_used} is not the one that was recorded")
        self.num_used += 1
        return piece

    def leaky_relu(self, x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
        return held_leaky_relu(x, self._next(x, torch.bool), negative_slope)

    def clamp(self, x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
        return held_clamp(x, self._next(x, torch.int8), *_ends(min, max))


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    """Those of a clamp, which may have one only."""
    return -math.inf if low is None else low, math.inf if high is None else high
