from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.reconstruction.frames import check_pair, from_bytes, from_symmetric


def test_bytes_and_what_fields_draw_come_to_the_same_range() -> None:
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    drawn = (levels.double() - 127.5) / 127.5
    assert torch.equal(from_bytes(levels)[0, 0, 0, [0, 51, 255]], torch.tensor([0, 0.2, 1]))
    torch.testing.assert_close(from_symmetric(drawn), from_bytes(levels).double(), atol=1e-7, rtol=0)


def test_what_is_drawn_beyond_the_range_is_clamped() -> None:
    drawn = torch.tensor([-3.0, -1, 0, 1, 1.5]).expand(1, 3, 1, 5)
    assert from_symmetric(drawn)[0, 0, 0].tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
@pytest.mark.parametrize("side", ["result", "reference"])
def test_values_that_are_no_colours_are_refused(value: float, side: str) -> None:
    good, bad = torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), 0.5)
    bad[1, 2, 3, 0] = value
    with pytest.raises(InputError, match=f"{side}: has values outside"):
        check_pair(*((bad, good) if side == "result" else (good, bad)))


def test_a_failed_draw_is_not_clamped_into_a_colour() -> None:
    drawn = from_symmetric(torch.full((1, 3, 2, 2), float("nan")))
    with pytest.raises(InputError, match="not finite"):
        check_pair(drawn, torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 4, 5), (3, 4, 4)])
def test_frames_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        check_pair(torch.zeros(shape), torch.zeros(2, 3, 4, 4))
