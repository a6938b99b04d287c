"""Fields of whole frames: other sizes, windows and points are read from these, linearly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.coords import mesh, times
from fields.frame_video import FrameVideo
from fields.interface import VideoField

SIZE = (3, 4, 6)


class Ramps(FrameVideo):
    """Red grows with x, green with y, blue with time."""

    def frames(self, t: Tensor) -> Tensor:
        y, x = mesh(self.size[1:]).unbind(-1)
        return torch.stack([torch.stack((x, y, moment.expand_as(x))) for moment in t])


def test_it_renders() -> None:
    field = Ramps(SIZE, SIZE[1:])
    assert isinstance(field, VideoField)
    torch.testing.assert_close(field.render(times(3), SIZE[1:]), field.frames(times(3)))


@pytest.mark.parametrize("size", [(4, 6), (8, 18)])
def test_other_sizes_are_linear_up_to_the_outermost_pixels(size: tuple[int, int]) -> None:
    field = Ramps(SIZE, SIZE[1:])
    y, x = mesh(size).unbind(-1)
    expected = torch.stack((x.clamp(-5 / 6, 5 / 6), y.clamp(-3 / 4, 3 / 4)))
    found = field.render(times(3), size)
    torch.testing.assert_close(found[:, :2], expected.expand(3, -1, -1, -1))
    torch.testing.assert_close(field.render(times(3), size, (1, 2, 3, 5), chunk=1), found[..., 1:3, 2:5])


def test_points_are_read_from_frames_of_their_moments() -> None:
    coords = torch.rand(40, 3) * 1.4 - 0.7
    coords[20:, 0] = 0.25
    torch.testing.assert_close(Ramps(SIZE, SIZE[1:])(coords), coords.flip(1))


def test_no_moments_are_no_frames() -> None:
    assert Ramps(SIZE, SIZE[1:]).render(torch.zeros(0), SIZE[1:]).shape == (0, 3, 4, 6)


def test_networks_of_other_frames_are_refused() -> None:
    with pytest.raises(InputError, match="makes frames of 4x8, the video has 4x6"):
        Ramps(SIZE, (4, 8))
