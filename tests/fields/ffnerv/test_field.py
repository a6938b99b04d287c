from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.coords import times
from fields.ffnerv import FFNeRV
from fields.ffnerv.aggregation import aggregate, blend
from fields.interface import VideoField
from fields.nodes import build
from tests.fields.ffnerv.small_fields import SIZE, node, small_field, small_network

NUM_FRAMES = SIZE[0]


def test_it_is_a_video_field_that_a_config_can_name() -> None:
    assert isinstance(small_field(), VideoField)
    assert isinstance(build(node(), 100), FFNeRV)


def test_frames_are_mixed_of_independent_frames_of_their_neighbours() -> None:
    field = small_field().requires_grad_(False)
    heads = field.network(torch.arange(NUM_FRAMES) / NUM_FRAMES)
    black = torch.zeros(3, *SIZE[1:])
    for number in range(NUM_FRAMES):
        near = [number + k for k in (-2, -1, 1, 2)]
        beside = torch.stack([heads.independent[n] if 0 <= n < NUM_FRAMES else black for n in near])[None]
        aggregated = aggregate(beside, heads.flow[number, None])
        final = blend(heads.independent[number, None], aggregated, heads.frame[number, None, 3:])
        parts = field.parts(times(NUM_FRAMES)[number, None])
        torch.testing.assert_close(parts.aggregated, aggregated, atol=1e-5, rtol=0)
        torch.testing.assert_close(parts.final, final, atol=1e-5, rtol=0)
        torch.testing.assert_close(field.frames(times(NUM_FRAMES)[number, None]), 2 * final - 1, atol=2e-5, rtol=0)


def test_a_frame_does_not_depend_on_what_was_made_before() -> None:
    field = small_field().requires_grad_(False)
    whole = field.render(times(NUM_FRAMES), SIZE[1:])
    order = [4, 0, 5, 2]
    torch.testing.assert_close(field.render(times(NUM_FRAMES)[order], SIZE[1:]), whole[order])
    for chunk in (1, 900, 10**6):
        torch.testing.assert_close(field.render(times(NUM_FRAMES), SIZE[1:], chunk=chunk), whole)


@pytest.mark.parametrize("count", [7, 600, 5000])
def test_moments_of_frames_are_whole_numbers(count: int) -> None:
    field = small_field()
    field.size = (count, *SIZE[1:])
    assert torch.equal(field.numbers(times(count)), torch.arange(count).float())


def test_moments_between_frames_have_neighbours_of_their_own() -> None:
    field = small_field().requires_grad_(False)
    number = torch.tensor([2.5])
    asked = []
    field.independent = lambda numbers: asked.append(numbers) or torch.zeros(1, 4, 3, *SIZE[1:])
    field.parts(2 * (number + 0.5) / NUM_FRAMES - 1)
    torch.testing.assert_close(asked[0], torch.tensor([[0.5, 1.5, 3.5, 4.5]]))


def test_neighbours_beyond_the_ends_are_black() -> None:
    field = small_field()
    found = field.independent(torch.tensor([[-1.0, 0.0, 5.0, 6.0]]))
    assert not found[0, 0].any() and not found[0, 3].any()
    assert found[0, 1].all() and found[0, 2].all()
    assert not found.requires_grad


def test_windows_and_other_sizes_are_read_from_whole_frames() -> None:
    field = small_field().requires_grad_(False)
    t = times(NUM_FRAMES)[:2]
    for size in (SIZE[1:], (20, 9)):
        whole = field.render(t, size)
        assert whole.shape == (2, 3, *size)
        torch.testing.assert_close(field.render(t, size, (1, 2, 7, 8)), whole[..., 1:7, 2:8])


def test_gradients_reach_every_parameter() -> None:
    field = small_field()
    field.frames(torch.rand(20) * 2 - 1).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in field.parameters())


def test_the_official_warp_is_another_field() -> None:
    field = small_field().requires_grad_(False)
    other = FFNeRV(SIZE, field.network, official_warp=True)
    t = times(NUM_FRAMES)[2, None]
    assert (field.parts(t).aggregated - other.parts(t).aggregated).abs().max() > 1e-4
    torch.testing.assert_close(field.parts(t).independent, other.parts(t).independent)


def test_a_network_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="16x24, the video has 16x20"):
        FFNeRV((4, 16, 20), small_network())
