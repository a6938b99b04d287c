"""What fields of videos share that know whole frames only: one size of their own, and all others read from it.

Shape legend
    F       frames
    N       points
    H, W    height and width of whole frames
    h, w    of a window
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import checked_window, mesh
from fields.interface import CHUNK, ranges
from fields.point_video import checked_video


class FrameVideo(nn.Module):
    """A field of whole frames; other sizes and single points are read from these, linearly.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        made: Height and width of the frames that its network makes.

    Raises:
        InputError: If these are not those of the video.
    """

    def __init__(self, size: Sequence[int], made: Sequence[int]) -> None:
        super().__init__()
        self.size = checked_video(size)
        if tuple(made) != self.size[1:]:
            ours, asked = ("x".join(map(str, sides)) for sides in (made, self.size[1:]))
            raise InputError(f"model: its network makes frames of {ours}, the video has {asked}: change its strides")

    @abstractmethod
    def frames(self, t: Float[Tensor, " F"]) -> Float[Tensor, "F 3 H W"]:
        """Whole frames, nominally in [-1, 1].

        Args:
            t: Moments in [-1, 1].
        """

    def forward(self, coords: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Colours at points, from one whole frame for each of their moments.

        Args:
            coords: (t, y, x) in [-1, 1].
        """
        moments, which = coords[:, 0].unique(return_inverse=True)
        values = coords.new_zeros(len(coords), 3)
        for number in range(len(moments)):
            (chosen,) = torch.where(which == number)
            frame = self.frames(moments[number : number + 1])
            values = values.index_put((chosen,), _at_points(frame, coords[chosen, 1:]))
        return values

    @torch.no_grad()
    def render(
        self, t: Float[Tensor, " F"], size: Sequence[int], window: Sequence[int] | None = None, chunk: int = CHUNK
    ) -> Float[Tensor, "F 3 h w"]:
        """Frames, or the same window of each.

        Args:
            t: Moments in [-1, 1].
            size: Height and width of whole frames in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole frame.
            chunk: Points that are evaluated at once, but never less than a frame.
        """
        y0, x0, y1, x1 = checked_window(window, size)
        points = mesh(size, window, t.device)
        found = []
        for part in ranges(len(t), max(1, chunk // (self.size[1] * self.size[2]))):
            frames = self.frames(t[part])
            if tuple(size) == self.size[1:]:
                found.append(frames[..., y0:y1, x0:x1])
            else:
                found += [_resampled(frame[None], points) for frame in frames]
        return torch.cat(found) if found else t.new_zeros(0, 3, y1 - y0, x1 - x0)


def _resampled(frame: Tensor, points: Tensor) -> Tensor:
    """A frame ``[1, 3, H, W]`` at a mesh ``[h, w, 2]`` of (y, x), linearly; beyond the outermost pixels these."""
    return F.grid_sample(frame, points.flip(-1)[None].to(frame.dtype), padding_mode="border", align_corners=False)


def _at_points(frame: Tensor, points: Tensor) -> Tensor:
    """Colours ``[N, 3]`` of a frame at points ``[N, 2]``."""
    return rearrange(_resampled(frame, points[:, None]), "1 c n 1 -> n c")
