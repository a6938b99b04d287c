"""What fields of videos share that know points only: the size of the video that they are fitted to, and rendering.

Shape legend
    N       points
    F       frames
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.interface import CHUNK, render_points


def checked_video(size: Sequence[int]) -> tuple[int, int, int]:
    """Frames, height and width of a video, each at least one.

    Raises:
        InputError: If the size is anything else.
    """
    if len(size) != 3 or min(size) < 1:
        raise InputError(f"size {tuple(size)}: give frames, height and width of a video, each at least 1")
    frames, height, width = (int(n) for n in size)
    return frames, height, width


class PointVideo(nn.Module):
    """A field of (t, y, x) that is fitted to one video.

    Args:
        size: Frames, height and width of that video, by which coordinates are placed as the system at hand does.
    """

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = checked_video(size)

    def forward(self, coords: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Colours at points, nominally in [-1, 1].

        Args:
            coords: (t, y, x) in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} says what a point's colour is")

    def render(
        self, t: Float[Tensor, " F"], size: Sequence[int], window: Sequence[int] | None = None, chunk: int = CHUNK
    ) -> Float[Tensor, "F 3 h w"]:
        """Frames, or the same window of each, without gradients.

        Args:
            t: Moments in [-1, 1].
            size: Height and width of whole frames in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole frame.
            chunk: Points that are evaluated at once.
        """
        return render_points(self, t, size, window, chunk)
