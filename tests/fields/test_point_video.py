from __future__ import annotations

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.coords import mesh
from fields.interface import VideoField
from fields.point_video import PointVideo, checked_video


class Ramp(PointVideo):
    """The coordinates as colours."""

    def forward(self, coords: Tensor) -> Tensor:
        return coords


def test_frames_are_the_colours_at_their_points() -> None:
    field = Ramp((3, 5, 7))
    frames = field.render(torch.tensor([0.5]), (4, 6), (1, 2, 4, 6), chunk=5)
    assert isinstance(field, VideoField)
    assert torch.equal(frames[0, 0], torch.full((3, 4), 0.5))
    assert torch.equal(frames[0, 1:].permute(1, 2, 0), mesh((4, 6))[1:4, 2:6])


@pytest.mark.parametrize("size", [(3, 5), (0, 5, 7), (3, 5, -7)])
def test_a_video_needs_frames_and_pixels(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="size"):
        checked_video(size)
