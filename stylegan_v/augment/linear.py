"""Constant linear maps of images that can be differentiated any number of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class LinearMap(Protocol):
    """A linear map of images and its adjoint (the transpose of the matrix it stands for)."""

    def apply(self, x: Tensor) -> Tensor:
        """What becomes of ``x``."""

    def adjoint(self, y: Tensor) -> Tensor:
        """What brings gradients back: the inner products of A x with y and of x with the adjoint at ``y`` are equal."""


def linear(x: Tensor, linear_map: LinearMap) -> Tensor:
    """``linear_map`` at ``x``, in the precision of ``x`` under any autocast, keeping nothing but the map for backward.

    Torch's own backward of a product runs under the autocast that surrounds *it*: where the whole training step is
    autocast, gradients of a forward pass in float32 would be bfloat16 products.
    """
    return _Linear.apply(x, linear_map.apply, linear_map.adjoint)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.maps = (adjoint, apply)
        with torch.autocast(x.device.type, enabled=False):
            return apply(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # The gradient of a linear map is its adjoint: again linear, so this is differentiable in turn.
        return _Linear.apply(gradient, *ctx.maps), None, None


class Separable:
    """One matrix along the rows and one along the columns of each image.

    Args:
        vertical: Acts on columns of pixels, or one for all images.
        horizontal: Acts on rows of pixels.
    """

    def __init__(self, vertical: Float[Tensor, "#N h H"], horizontal: Float[Tensor, "#N w W"]) -> None:
        self.vertical, self.horizontal = vertical[:, None], horizontal[:, None]

    def apply(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        return self.vertical @ (x @ self.horizontal.mT)

    def adjoint(self, y: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C H W"]:
        return self.vertical.mT @ (y @ self.horizontal)


class Mixing:
    """One matrix across the colours of each image, the same for all its frames.

    Args:
        matrix: Acts on the three colours of a pixel.
    """

    def __init__(self, matrix: Float[Tensor, "N 3 3"]) -> None:
        self.matrix = matrix

    def apply(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return self._mix(self.matrix, x)

    def adjoint(self, y: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return self._mix(self.matrix.mT, y)

    def _mix(self, matrix: Float[Tensor, "N 3 3"], x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        colours = x.reshape(len(x), -1, 3, x.shape[2] * x.shape[3])  # [N, T, 3, H W]
        return (matrix[:, None] @ colours).view_as(x)
