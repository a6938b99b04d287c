"""What fields answer, and what everything that uses them may rely on.

A field maps points to values. Image and video fields also render whole pictures, or windows of them, which equal the
crop of the whole and do not depend on how the points were cut into chunks. A conditional field (a super-resolution
model, a generator's head) takes its condition as the first argument of each. Values are nominally in [-1, 1], never
clamped.

Shape legend
    N       points
    D       axes of a point: (y, x) or (t, y, x)
    C       channels
    F       frames
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import checked_window, mesh

# Points that go through a network at once where the caller does not say.
CHUNK = 65536


@runtime_checkable
class Field(Protocol):
    """A function of points."""

    def forward(self, coords: Float[Tensor, "N D"]) -> Float[Tensor, "N C"]:
        """Values at points.

        Args:
            coords: In [-1, 1].
        """
        ...


@runtime_checkable
class VideoField(Protocol):
    """A field of (t, y, x) that renders frames."""

    def render(
        self,
        t: Float[Tensor, " F"],
        size: tuple[int, int],
        window: tuple[int, int, int, int] | None = None,
        chunk: int = CHUNK,
    ) -> Float[Tensor, "F 3 h w"]:
        """Frames, or the same window of each.

        Args:
            t: Moments in [-1, 1].
            size: Height and width of whole frames in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole frame.
            chunk: Points that are evaluated at once; the result does not depend on it.
        """
        ...


# An image field answers the same call: it is a video that stands still.
ImageField = VideoField


def can_blend_time(field: object) -> bool:
    """Whether a field's ``render`` takes ``blend_time``, for moments between frames."""
    return "blend_time" in signature(field.render).parameters


def _grid_ids(module: nn.Module) -> set[int]:
    named = [(part, name) for part in module.modules() for name in getattr(part, "grid_parameters", ())]
    return {id(part.get_parameter(name)) for part, name in named}


def parameter_groups(module: nn.Module) -> list[dict]:
    """Parameters as optimiser groups with a ``name``: "network" and, where there are any, "grids".

    A module marks its grids by the class attribute ``grid_parameters``, a tuple of its parameters' names.

    Args:
        module: With all its parts.
    """
    grids = _grid_ids(module)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"name": "network", "params": [one for one in trained if id(one) not in grids]},
        {"name": "grids", "params": [one for one in trained if id(one) in grids]},
    ]
    return [group for group in groups if group["params"]]


def ranges(count: int, chunk: int) -> Iterator[slice]:
    """Slices of at most ``chunk`` that cover ``count`` elements in order.

    Raises:
        InputError: If a chunk is less than one element.
    """
    if chunk < 1:
        raise InputError(f"chunk {chunk}: at least one point must be evaluated at once")
    return (slice(start, min(start + chunk, count)) for start in range(0, count, chunk))


def render_points(
    field: Callable[[Tensor], Tensor],
    t: Float[Tensor, " F"] | None,
    size: Sequence[int],
    window: Sequence[int] | None = None,
    chunk: int = CHUNK,
    device: torch.device | None = None,
) -> Float[Tensor, "F C h w"]:
    """Pictures of a field that knows points only, without gradients.

    Args:
        field: From points [N, D] to values [N, C].
        t: Moments in [-1, 1], for a field of (t, y, x); None for one of (y, x), which gives one picture.
        size: Height and width of whole frames in pixels.
        window: (y0, x0, y1, x1), half open; None is the whole frame.
        chunk: Points that are evaluated at once.
        device: Where the field is, if there is no ``t`` to tell.
    """
    y0, x0, y1, x1 = checked_window(window, size)
    points = rearrange(mesh(size, window, t.device if t is not None else device), "h w d -> (h w) d")
    frames = []
    for moment in [None] if t is None else t:
        parts = [points[part] for part in ranges(len(points), chunk)]
        if moment is not None:
            parts = [torch.cat([repeat(moment, " -> n 1", n=len(part)).float(), part], dim=1) for part in parts]
        with torch.no_grad():
            frames.append(torch.cat([field(part) for part in parts]))
    return rearrange(torch.stack(frames), "f (h w) c -> f c h w", h=y1 - y0, w=x1 - x0)
