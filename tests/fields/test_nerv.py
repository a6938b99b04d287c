from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.coords import mesh, times
from fields.interface import VideoField
from fields.nerv import NeRV, NeRVNetwork, block_widths, encode_moments

SIZE = (4, 12, 18)


def network(**settings: object) -> NeRVNetwork:
    small = {"num_octaves": 4, "stem": (8,), "fc_size": (2, 3), "fc_dim": 5, "strides": (3, 2), "lower_width": 4}
    return NeRVNetwork(**{**small, **settings})


def small() -> NeRV:
    return NeRV(SIZE, network()).requires_grad_(False)


def test_moments_are_encoded_in_turn() -> None:
    t = torch.tensor([0.3])
    expected = [wave(math.pi * 1.25**octave * float(t)) for octave in range(3) for wave in (math.sin, math.cos)]
    torch.testing.assert_close(encode_moments(t, 1.25, 3), torch.tensor([expected]))


def test_the_fastest_waves_keep_their_phase() -> None:
    (found,) = encode_moments(torch.tensor([0.7]), 1.25, 80)
    angle = math.pi * 1.25**79 * float(torch.tensor(0.7))
    assert float(found[-2]) == pytest.approx(math.sin(angle), abs=1e-5)


def test_widths_of_the_blocks() -> None:
    assert block_widths(26, (5, 2, 2, 2, 2), 1.0, 2, 96) == [26, 96, 96, 96, 96]
    assert block_widths(5, (2, 2, 1), 2.0, 2, 4) == [10, 5, 5]


def test_pictures_of_all_blocks_grow_to_the_frame() -> None:
    pictures = network(all_heads=True, output="sigmoid")(torch.rand(2))
    assert [picture.shape for picture in pictures] == [(2, 3, 6, 9), (2, 3, 12, 18)]
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures)


def test_frames_are_made_of_their_number_over_the_count() -> None:
    field = small()
    expected = 2 * field.network(torch.arange(4) / 4)[-1] - 1
    torch.testing.assert_close(field.frames(times(4)), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(field.render(times(4), SIZE[1:]), expected, rtol=0, atol=1e-5)
    assert isinstance(field, VideoField)


@pytest.mark.parametrize("chunk", [1, 500, 10**6])
@pytest.mark.parametrize("size", [(12, 18), (20, 7)])
def test_windows_and_chunks_do_not_change_a_picture(size: tuple[int, int], chunk: int) -> None:
    field = small()
    whole = field.render(times(3), size)
    torch.testing.assert_close(field.render(times(3), size, (1, 2, 5, 6), chunk), whole[..., 1:5, 2:6])


@pytest.mark.parametrize("size", [(12, 18), (20, 7)])
def test_points_are_read_from_the_frames_of_their_moments(size: tuple[int, int]) -> None:
    field, moments = small(), times(3)
    points = mesh(size).flatten(0, 1)
    coords = torch.cat([torch.cat((t.expand(len(points), 1), points), dim=1) for t in moments])
    order = torch.randperm(len(coords))
    expected = field.render(moments, size).permute(0, 2, 3, 1).reshape(-1, 3)
    torch.testing.assert_close(field(coords[order]), expected[order], rtol=0, atol=1e-5)


def test_gradients_of_points_reach_the_network() -> None:
    field = NeRV(SIZE, network())
    field(torch.rand(5, 3) * 2 - 1).sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in field.parameters())


def test_a_network_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="12x18, the video has 12x20"):
        NeRV((4, 12, 20), network())


@pytest.mark.parametrize(
    "settings", [{"activation": "snake"}, {"output": "none"}, {"strides": ()}, {"strides": (2, 0)}]
)
def test_settings_that_cannot_be_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        network(**settings)
