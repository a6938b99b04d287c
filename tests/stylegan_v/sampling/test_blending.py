from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from stylegan_v.networks import Generator, LSTMMotion, Motionless, SmoothEncoding
from stylegan_v.networks.time_encoding import locate
from stylegan_v.rendering import VideoLatents, draw_latents, render
from stylegan_v.sampling.blending import Journey, check_blendable, motion_on, path_on, styles_on, travel
from stylegan_v.sampling.looping import looped
from stylegan_v.sampling.memory import Render
from tests.stylegan_v.sampling.tiny import encoder, generator


def times(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def position(journey: Journey, t: torch.Tensor) -> list[float]:
    """One number for the place: the key before, and the share of the one after as its fraction."""
    left, right, share = journey.place(t)
    assert ((right - left - 1) % journey.num_keys == 0).all() or journey.num_keys == 1
    return (left + share).tolist()


def shown(render_some: Render, t: torch.Tensor, chunk: int = 4) -> torch.Tensor:
    return torch.cat(list(render_some(t, chunk)), dim=1).int()


def of_one(made: Generator, latents: VideoLatents, t: torch.Tensor) -> torch.Tensor:
    return torch.cat(list(render(made, latents, t, chunk=1)), dim=1).int()


def test_a_journey_passes_all_keys_and_stays_at_its_ends() -> None:
    journey = Journey(3, start=10, span=40)
    assert position(journey, times(0, 10, 20, 30, 45, 50, 70)) == pytest.approx([0, 0, 0.5, 1, 1.75, 2, 2])


def test_a_looping_journey_returns_to_its_first_key() -> None:
    journey = Journey(4, start=10, span=40, loop=True)
    places = position(journey, times(10, 20, 45, 50, 55, 5))
    assert places == pytest.approx([0, 1, 3.5, 0, 0.5, 3.5])
    left, right, _ = journey.place(times(45))
    assert (left.item(), right.item()) == (3, 0)


def test_a_journey_backwards_in_time_goes_through_the_keys_in_order() -> None:
    assert position(Journey(3, start=50, span=-40), times(50, 30, 10)) == pytest.approx([0, 1, 2])


def test_a_single_moment_is_at_the_first_key() -> None:
    for loop in (False, True):
        assert position(Journey(3, start=5, span=0, loop=loop), times(5)) == pytest.approx([0])
        left, right, _ = Journey(1, start=0, span=40, loop=loop).place(times(0, 20, 40))
        assert left.tolist() == right.tolist() == [0, 0, 0]


@pytest.mark.parametrize("videos, loop", [([3], True), ([3], False), ([3, 3], False), ([3, 3], True)])
def test_a_video_on_the_way_to_itself_is_itself(videos: list[int], loop: bool) -> None:
    made, journey = generator(), Journey(len(videos), start=0, span=40, loop=loop)
    keys, t = draw_latents(made, 0, videos), times(0, 13, 26, 39)
    found = motion_on(journey, made.synthesis.motion, keys.motion.window)(t)
    torch.testing.assert_close(found, made.synthesis.motion.path(keys.motion.window)(t)[:1], atol=1e-6, rtol=0)


def test_an_eased_journey_stands_still_at_keys_and_meets_the_plain_one_halfway() -> None:
    plain, eased = (Journey(3, start=0, span=40, eased=eased) for eased in (False, True))
    halfway = times(0, 10, 20, 30, 40)
    assert position(eased, halfway) == pytest.approx(position(plain, halfway))
    near = position(eased, times(20 - 1e-4, 20, 20 + 1e-4))
    assert near[2] - near[1] < 1e-8 and near[1] - near[0] < 1e-8
    assert position(eased, times(5))[0] < position(plain, times(5))[0]


def test_styles_are_interpolated_in_a_straight_line() -> None:
    ws = torch.randn(3, 4, 8)
    styles = styles_on(Journey(3, start=0, span=40), ws, times(0, 5, 20, 40))
    expected = torch.stack([ws[0], 0.75 * ws[0] + 0.25 * ws[1], ws[1], ws[2]])
    torch.testing.assert_close(styles, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("c_dim", [0, 3])
def test_motion_is_that_of_noise_blended_code_by_code(c_dim: int) -> None:
    made, journey = generator(c_dim=c_dim), Journey(3, start=3, span=50, eased=True)
    motion = made.synthesis.motion
    keys = draw_latents(made, 0, [3, 7, 8])
    t = times(0, 3.5, 17.25, 30, 53, 60)
    embedded = motion_on(journey, motion, keys.motion.window, keys.c)(t)[0]

    exact = encoder(c_dim=c_dim).double()
    exact.load_state_dict(motion.state_dict())

    def code(number: int) -> torch.Tensor:
        left, right, share = journey.place(times(4.0 * number))
        noise = keys.motion.window(number, 1 + exact.reach).double()
        blended = math.cos(share * math.pi / 2) * noise[left] + math.sin(share * math.pi / 2) * noise[right]
        c = None if keys.c is None else ((1 - share) * keys.c[left] + share * keys.c[right]).double()
        return exact.trajectory(blended, c)[0]

    for moment, v in zip(t, embedded, strict=True):
        number = int(moment // 4)
        expected = exact.time_encoder(code(number), code(number + 1), locate(moment.reshape(1, 1), 4, torch.float64))
        torch.testing.assert_close(v, expected[0].float(), atol=1e-5, rtol=0)


def test_blended_noise_keeps_its_variance_and_the_law_of_its_codes() -> None:
    made, journey = generator(), Journey(2, start=0, span=4 * 300)
    keys = draw_latents(made, 0, [3, 7])
    codes = []
    motion = encoder()
    motion.trajectory = lambda noise, c=None: codes.append(noise) or torch.zeros(len(noise), 1, 8).double()
    motion_on(journey, motion, keys.motion.window)(times(*(4.0 * i for i in range(0, 300, 4))))
    noise = torch.cat(codes)
    middle = noise[100:200]  # well between the keys
    assert middle.std() == pytest.approx(1, abs=0.1) and middle.mean() == pytest.approx(0, abs=0.15)


def test_motion_is_that_of_the_keys_before_and_after_the_journey() -> None:
    made, journey = generator(), Journey(2, start=100, span=40)
    keys = draw_latents(made, 0, [3, 7])
    path = motion_on(journey, made.synthesis.motion, keys.motion.window)
    own = made.synthesis.motion.path(keys.motion.window)
    early, late = times(0, 3.5, 95), times(144, 150, 1e7)
    torch.testing.assert_close(path(early)[0], own(early)[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(path(late)[0], own(late)[1], atol=1e-6, rtol=0)


def test_a_moment_is_the_same_whoever_asks() -> None:
    made, journey = generator(), Journey(3, start=1e6, span=100)
    keys = draw_latents(made, 0, [3, 7, 8])
    t = times(*(1e6 + 3.7 * i for i in range(30)))
    whole = motion_on(journey, made.synthesis.motion, keys.motion.window)(t)
    apart = [motion_on(journey, made.synthesis.motion, keys.motion.window)(moment[None]) for moment in t]
    assert torch.equal(torch.cat(apart, dim=1), whole)


@pytest.mark.parametrize("encoding", [None, SmoothEncoding])
def test_a_looping_journey_of_content_and_motion_has_no_seam(encoding: type | None) -> None:
    made = looped(generator(encoder(encoding)), 40.0)
    journey = Journey(3, start=6, span=40, loop=True)
    keys = draw_latents(made, 0, [3, 7, 8])
    path = path_on(journey, made.synthesis.motion, keys, "both")
    torch.testing.assert_close(path(times(6 + 40, 17 + 40)), path(times(6, 17)), atol=1e-5, rtol=0)
    torch.testing.assert_close(path(times(40 - 1e-7, 0, 46 - 1e-7, 6)).diff(dim=1)[:, ::2], torch.zeros(1, 2, 16))
    frames = shown(travel(made, keys, journey, "both"), times(6, 46, 20, 60, 26))
    assert (frames[:, 0] - frames[:, 1]).abs().max() <= 1 and (frames[:, 2] - frames[:, 3]).abs().max() <= 1
    assert (frames[:, 0] - frames[:, 4]).abs().max() > 5


def test_only_content_changes() -> None:
    made, journey = generator(), Journey(2, start=0, span=40)
    keys = draw_latents(made, 0, [3, 7])
    t = times(0, 20, 40)
    frames = shown(travel(made, keys, journey, "content"), t)
    ends = draw_latents(made, 0, [3, 7], motion_videos=[3, 3])
    expected = of_one(made, ends, t)
    assert (frames[0, 0] - expected[0, 0]).abs().max() <= 1 and (frames[0, 2] - expected[1, 2]).abs().max() <= 1
    middle = VideoLatents(ends.ws.mean(dim=0, keepdim=True), draw_latents(made, 0, [3]).motion)
    assert (frames[0, 1] - of_one(made, middle, t)[0, 1]).abs().max() <= 1


def test_only_motion_changes() -> None:
    made, journey = generator(), Journey(2, start=40, span=40)
    keys = draw_latents(made, 0, [3, 7])
    t = times(0, 30, 60, 90)
    frames = shown(travel(made, keys, journey, "motion"), t)
    expected = of_one(made, draw_latents(made, 0, [3, 3], motion_videos=[3, 7]), t)
    assert (frames[0, :2] - expected[0, :2]).abs().max() <= 1
    assert (frames[0, 3] - expected[1, 3]).abs().max() <= 1
    assert (frames[0, 2] - expected[0, 2]).abs().max() > 3 and (frames[0, 2] - expected[1, 2]).abs().max() > 3


@pytest.mark.parametrize("what", ["content", "motion", "both"])
def test_labels_follow_what_changes(what: str) -> None:
    made, journey = generator(c_dim=3), Journey(2, start=0, span=40)
    keys = draw_latents(made, 0, [3, 7], c=torch.eye(3)[[0, 2]])
    t = times(0, 48)
    frames = shown(travel(made, keys, journey, what), t)
    moving = 3 if what == "content" else 7
    c = {"content": torch.eye(3)[[0]], "motion": torch.eye(3)[[2]], "both": torch.eye(3)[[2]]}[what]
    last = VideoLatents(keys.ws[:1] if what == "motion" else keys.ws[1:], draw_latents(made, 0, [moving]).motion, c)
    assert (frames[0, 1] - of_one(made, last, t)[0, 1]).abs().max() <= 1
    assert (frames[0, 0] - of_one(made, keys, t)[0, 0]).abs().max() <= 1


def test_chunks_of_any_size_show_the_same() -> None:
    made, journey = generator(), Journey(3, start=0, span=40)
    render_some = travel(made, draw_latents(made, 0, [3, 7, 8]), journey, "both")
    t = torch.arange(0, 40, 3, dtype=torch.float64)
    assert (shown(render_some, t, 1) - shown(render_some, t, 100)).abs().max() <= 1


def test_a_recurrence_has_nothing_between_and_images_have_nothing_to_blend() -> None:
    made = generator(LSTMMotion(z_dim=6, v_dim=8, max_num_frames=16))
    with pytest.raises(InputError, match="give content"):
        check_blendable(made.synthesis.motion)
    journey = Journey(2, start=0, span=9)
    keys = draw_latents(made, 0, [3, 7])
    assert shown(travel(made, keys, journey, "content"), times(0, 9)).shape == (1, 2, 3, 16, 16)
    still = generator(Motionless())
    check_blendable(still.synthesis.motion)
    frames = shown(travel(still, draw_latents(still, 0, [3, 7]), journey, "both"), times(0, 9))
    assert (frames[0, 0] - frames[0, 1]).abs().max() > 5
