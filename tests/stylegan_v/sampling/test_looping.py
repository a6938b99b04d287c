from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from stylegan_v.networks import (
    AcyclicEncoding,
    Generator,
    LSTMMotion,
    MotionEncoder,
    Motionless,
    SmoothEncoding,
    TimeEncoding,
)
from stylegan_v.networks.time_encoding import locate
from stylegan_v.rendering import VideoLatents, draw_latents, render_float
from stylegan_v.sampling.looping import ClosedSmoothEncoding, LoopedMotion, looped, shared_copy
from tests.stylegan_v.sampling.tiny import encoder, generator

LENGTHS = [3.0, 21.5, 64.0, 250.0]
BOTH = pytest.mark.parametrize("encoding", [AcyclicEncoding, SmoothEncoding])


def embeddings(motion: LoopedMotion, times: list[float] | torch.Tensor, videos: int = 32) -> torch.Tensor:
    """Of videos of random noise, in float64 throughout, [B, T, V]."""
    torch.manual_seed(5)
    noise = torch.randn(videos, motion.num_codes, motion.z_dim, dtype=torch.float64)
    t = torch.as_tensor(times, dtype=torch.float64).expand(videos, -1)
    return shared_copy(motion).double()(t, None, noise)


def video(made: Generator, t: torch.Tensor, latents: VideoLatents, chunk: int = 16) -> torch.Tensor:
    return torch.cat(list(render_float(made, latents, t, chunk=chunk)), dim=1)


@pytest.mark.parametrize("length, expected", [(0.5, 1), (5.9, 1), (6.1, 2), (21.5, 5), (64, 16)])
def test_codes_are_about_as_far_apart_as_they_were_trained(length: float, expected: int) -> None:
    motion = LoopedMotion(encoder(distance=4), length)
    assert motion.num_codes == expected and motion.encoder.distance == length / expected


@BOTH
@pytest.mark.parametrize("length", LENGTHS)
def test_the_frame_after_the_last_is_the_first(encoding: type[TimeEncoding], length: float) -> None:
    endless = generator(encoder(encoding))
    ring, latents = looped(endless, length), draw_latents(endless, 0, [3, 7])
    t = torch.linspace(0, length, 9, dtype=torch.float64)
    frames = video(ring, torch.cat([t, t + length, t + 1000 * length]), latents)
    once, again, late = frames.split(9, dim=1)
    torch.testing.assert_close(once[:, -1], once[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(again, once, atol=1e-5, rtol=0)
    torch.testing.assert_close(late, once, atol=1e-5, rtol=0)
    assert (frames[:, 4] - frames[:, 0]).abs().max() > 1e-3


@BOTH
@pytest.mark.parametrize("length", LENGTHS)
def test_value_is_continuous_over_the_seam(encoding: type[TimeEncoding], length: float) -> None:
    motion = LoopedMotion(encoder(encoding), length)
    before, at, after = embeddings(motion, [length - 1e-7, 0, 1e-7]).unbind(dim=1)
    torch.testing.assert_close(before, at, atol=1e-5, rtol=0)
    torch.testing.assert_close(after, at, atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", LENGTHS)
def test_speed_is_continuous_over_the_seam_with_the_smooth_encoding(length: float) -> None:
    motion, step = LoopedMotion(encoder(SmoothEncoding), length), 1e-5
    v = embeddings(motion, [length - step, 0, step])
    speeds = v.diff(dim=1) / step
    assert speeds.abs().max() > 1e-2
    torch.testing.assert_close(speeds[:, 0], speeds[:, 1], atol=1e-3, rtol=0)


def test_without_closing_its_phases_the_smooth_encoding_would_jump() -> None:
    motion = LoopedMotion(encoder(SmoothEncoding), 21.5)
    motion.encoder.time_encoder = encoder(SmoothEncoding).time_encoder
    before, at = embeddings(motion, [21.5 - 1e-7, 0]).unbind(dim=1)
    assert (before - at).abs().max() > 0.5


@pytest.mark.parametrize("encoding, limit", [(AcyclicEncoding, 1.3), (SmoothEncoding, 1.3)])
def test_the_seam_is_no_rougher_than_any_other_code(encoding: type[TimeEncoding], limit: float) -> None:
    motion = LoopedMotion(encoder(encoding), 40.0)
    knots, step = torch.arange(10, dtype=torch.float64) * 4, 0.1
    around = torch.stack([knots - step, knots, knots + step], dim=1) % 40
    v = embeddings(motion, around.flatten(), videos=256).unflatten(1, (10, 3))
    bends = (v[:, :, 0] - 2 * v[:, :, 1] + v[:, :, 2]).square().mean(dim=(0, 2)).sqrt()
    assert bends[0] / bends[1:].mean() < limit and bends[0] / bends[1:].mean() > 1 / limit


@pytest.mark.parametrize("length", [10.0, *LENGTHS])
def test_phases_keep_their_bounds_and_close(length: float) -> None:
    encoding = encoder(SmoothEncoding).time_encoder
    closed = ClosedSmoothEncoding(encoding, length).double()
    distance, step = length / max(1, round(length / 4)), 1e-6
    codes = closed.predict(5 * torch.randn(64, 8, dtype=torch.float64))
    following = closed.predict(5 * torch.randn(64, 8, dtype=torch.float64))
    omega, turns = encoding.freqs.double(), closed.turns
    for share in torch.linspace(0, 1 - 1e-5, 33).tolist():
        t = torch.full((64, 1), share * distance, dtype=torch.float64)
        now, then = (closed.angle(codes, following, locate(at, distance, torch.float64)) for at in (t, t + step))
        speed = torch.remainder(then - now + math.pi, 2 * math.pi).sub(math.pi) / step
        assert (speed < 2 * omega * (1 + 1e-6)).all()
        assert ((speed > 0) | (turns == 0)).all()
        assert ((speed.abs() < omega * (1 + 1e-6)) | (turns > 0)).all()
    assert torch.equal(turns, torch.round(omega * length / (2 * math.pi)).long())


def test_a_loop_of_whole_turns_leaves_the_smooth_encoding_as_it_is() -> None:
    encoding = SmoothEncoding(8, 3, 16, 64)
    encoding.freqs.copy_(2 * math.pi / torch.tensor([[64.0, 32.0, 16.0]]))
    closed = ClosedSmoothEncoding(encoding, 128.0)
    left, right = (encoding.predict(torch.randn(10, 8)) for _ in range(2))
    segments = locate(torch.linspace(0, 120, 10, dtype=torch.float64)[:, None], 8)
    torch.testing.assert_close(
        closed.between(left, right, segments), encoding.between(left, right, segments), atol=1e-4, rtol=0
    )
    assert closed.turns.tolist() == [[2, 4, 8]]


def test_weights_are_shared_and_the_given_generator_stays_as_it_is() -> None:
    endless = generator(encoder(SmoothEncoding))
    before = {name: tensor.clone() for name, tensor in endless.state_dict().items()}
    ring = looped(endless, 21.5)
    storages = {tensor.data_ptr() for tensor in endless.state_dict().values()}
    assert {parameter.data_ptr() for parameter in ring.parameters()} <= storages
    assert isinstance(endless.synthesis.motion, MotionEncoder) and endless.synthesis.motion.distance == 4
    assert all(torch.equal(tensor, before[name]) for name, tensor in endless.state_dict().items())


def test_codes_go_round() -> None:
    motion = LoopedMotion(encoder(), 20.0)
    noise = torch.randn(2, 5, 6)
    asked = []

    def window(first: int, num: int) -> torch.Tensor:
        asked.append((first, num))
        return noise[:, first : first + num]

    expected = noise[:, torch.arange(3, 20) % 5]
    assert torch.equal(motion.around(window)(3, 17), expected)
    assert all(first + num <= 5 for first, num in asked)
    assert motion.window(torch.zeros(1, 3)) == (0, 5)


@BOTH
def test_the_plain_call_shows_what_sampling_shows(encoding: type[TimeEncoding]) -> None:
    ring = looped(generator(encoder(encoding)), 21.5)
    latents = draw_latents(ring, 0, [3, 7])
    t = torch.linspace(0, 60, 11, dtype=torch.float64)
    plain = ring.synthesis(latents.ws, t.expand(2, -1), None, latents.motion.window(0, 5))
    torch.testing.assert_close(video(ring, t, latents), plain, atol=1e-4, rtol=1e-4)


def test_noise_is_drawn_where_none_is_given_and_starts_at_the_first_code() -> None:
    motion = LoopedMotion(encoder(), 21.5)
    t = torch.tensor([[0.0, 21.5]]).expand(2, -1)
    v = motion(t)
    torch.testing.assert_close(v[:, 0], v[:, 1])
    assert (v[0] - v[1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="code 0"):
        motion(t, first_code=1)


def test_labels_go_into_the_ring() -> None:
    ring = looped(generator(c_dim=3), 21.5)
    t = torch.tensor([0, 10, 21.5], dtype=torch.float64)
    one, other = (video(ring, t, draw_latents(ring, 0, [3], c=torch.eye(3)[[i]])) for i in (0, 2))
    torch.testing.assert_close(one[:, 0], one[:, 2], atol=1e-5, rtol=0)
    assert (one - other).abs().max() > 1e-2


def test_images_loop_as_they_are_and_a_recurrence_cannot() -> None:
    still = generator(Motionless())
    t = torch.arange(3, dtype=torch.float64)
    latents = draw_latents(still, 0, [3])
    assert torch.equal(video(looped(still, 2.0), t, latents), video(still, t, latents))
    with pytest.raises(InputError, match="LSTMMotion depends on its whole past"):
        looped(generator(LSTMMotion(z_dim=6, v_dim=8, max_num_frames=16)), 20.0)


def test_an_unknown_encoding_is_refused() -> None:
    class Other(AcyclicEncoding):
        pass

    with pytest.raises(InputError, match="phases of Other"):
        LoopedMotion(encoder(Other), 20.0)
