from __future__ import annotations

import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from stylegan_v import rendering
from stylegan_v.networks import Generator, LSTMMotion, Motion, MotionEncoder, Motionless, SmoothEncoding, TimeEncoding
from stylegan_v.networks.folding import FoldedSynthesis
from stylegan_v.rendering import MotionNoise, draw_latents, frame_times, render, render_float, to_uint8


def make_generator(
    c_dim: int = 0, motion: Motion | None = None, encoding: type[TimeEncoding] | None = None, **settings: Any
) -> Generator:
    torch.manual_seed(0)
    if motion is None:
        motion = MotionEncoder(
            z_dim=6,
            v_dim=8,
            c_dim=c_dim,
            num_frequencies=8,
            distance=4,
            kernel_size=3,
            min_period=4,
            max_period=256,
            max_num_frames=64,
            encoding=encoding and encoding(8, 8, 4, 256),
        )
    widths = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}
    generator = Generator(16, c_dim=c_dim, motion=motion, **widths, **settings)
    generator.mapping.w_avg.normal_()
    return generator.eval()


def float_video(
    generator: Generator, t: torch.Tensor, chunk: int, seed: int = 0, videos: tuple[int, ...] = (3, 7)
) -> torch.Tensor:
    latents = draw_latents(generator, seed, videos)
    return torch.cat(list(render_float(generator, latents, t, chunk=chunk)), dim=1)


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_chunks_of_any_size_show_the_same_frames(chunk: int) -> None:
    generator = make_generator()
    t = frame_times(2, fps=15, data_fps=25, start=0.3)
    whole = float_video(generator, t, chunk=1000)
    assert whole.shape == (2, 30, 3, 16, 16)
    torch.testing.assert_close(float_video(generator, t, chunk), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("c_dim", [0, 3])
@pytest.mark.parametrize("encoding", [None, SmoothEncoding])
def test_a_far_moment_is_the_same_whichever_window_and_chunk_it_is_in(
    encoding: type[TimeEncoding] | None, c_dim: int
) -> None:
    generator = make_generator(c_dim, encoding=encoding)
    t = 1e7 + torch.arange(0, 16.5, 1.375, dtype=torch.float64)
    whole = float_video(generator, t, chunk=1000)
    for chunk in (1, 5):
        torch.testing.assert_close(float_video(generator, t, chunk), whole, atol=1e-5, rtol=0)
    for part in (slice(8, 9), slice(5, 11)):
        torch.testing.assert_close(float_video(generator, t[part], 16), whole[:, part], atol=1e-5, rtol=0)
    among = torch.cat([t[9:10] * 0 + 3, t[9:10], t[9:10] * 2, t[9:10] - 1])
    torch.testing.assert_close(float_video(generator, among, 16)[:, 1:2], whole[:, 9:10], atol=1e-5, rtol=0)


def test_a_far_video_moves_as_an_early_one_does() -> None:
    generator = make_generator()
    t = torch.arange(0, 16.5, 0.5, dtype=torch.float64)
    moves = [float_video(generator, start + t, 16).diff(dim=1).square().mean().sqrt() for start in (0.0, 1e7)]
    assert moves[0] > 1e-3 and 0.5 < moves[1] / moves[0] < 2


@pytest.mark.slow
def test_a_far_moment_of_a_full_network_is_the_same_whoever_asks() -> None:
    torch.manual_seed(0)
    generator = Generator(64, channel_base=2048).eval()
    t = 1e7 + torch.arange(0, 12, 1.5, dtype=torch.float64)
    whole = float_video(generator, t, chunk=16, videos=(3,))
    torch.testing.assert_close(float_video(generator, t, 3, videos=(3,)), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(float_video(generator, t[5:6], 16, videos=(3,)), whole[:, 5:6], atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrong", [-0.25, float("nan"), float("inf"), 1e17])
def test_times_that_no_video_has_are_refused_before_anything_is_drawn(wrong: float) -> None:
    generator = make_generator()
    with pytest.raises(InputError, match=r"times: .*: a video has times from 0 to 9.0072e\+15, in frames"):
        render(generator, draw_latents(generator, 0, [0]), torch.tensor([0, 1, wrong], dtype=torch.float64))


def test_equals_the_generator_with_the_whole_motion_noise_at_once() -> None:
    generator = make_generator()
    t = torch.arange(0, 90, 7, dtype=torch.float64)
    latents = draw_latents(generator, 5, [2, 4])
    motion_z = latents.motion.window(0, generator.synthesis.motion.num_codes(t))
    expected = generator.synthesis(latents.ws, t.expand(2, -1), None, motion_z)
    frames = torch.cat(list(render_float(generator, latents, t, chunk=4)), dim=1)
    torch.testing.assert_close(frames, expected, atol=1e-4, rtol=1e-4)


def test_noise_held_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make_generator()
    held, asked = [], []
    window = MotionNoise.window

    def spy(self: MotionNoise, first: int, num: int) -> torch.Tensor:
        codes = window(self, first, num)
        asked.append(num)
        held.append(sum(block.numel() for block in self._blocks.values()))
        return codes

    monkeypatch.setattr(MotionNoise, "window", spy)
    latents = draw_latents(generator, 0, [0])
    for _ in render(generator, latents, torch.arange(0, 4000, 4, dtype=torch.float64), chunk=16):
        pass
    assert set(asked) == {16 + generator.synthesis.motion.reach} and len(asked) == 1000 // 16 + 1
    assert max(held) <= 2 * 32 * 6


def test_motion_codes_are_functions_of_seed_video_and_number() -> None:
    noise = MotionNoise(1, torch.tensor([4, 9]), 3)
    whole = noise.window(0, 100)
    torch.testing.assert_close(noise.window(30, 40), whole[:, 30:70], atol=0, rtol=0)
    torch.testing.assert_close(MotionNoise(1, torch.tensor([9]), 3).window(95, 5), whole[1:, 95:], atol=0, rtol=0)
    assert (MotionNoise(2, torch.tensor([4]), 3).window(0, 4) != whole[:1, :4]).all()
    assert abs(whole.mean()) < 0.2 and 0.9 < whole.std() < 1.1


def test_motion_codes_do_not_repeat_after_two_to_the_32_blocks() -> None:
    noise, end = MotionNoise(1, torch.tensor([4, 9]), 3), 32 * 2**32
    across = noise.window(end - 50, 100)
    assert torch.equal(noise.window(end + 10, 5), across[:, 60:65])
    assert torch.equal(noise.window(end - 3, 5), across[:, 47:52])
    assert (across[:, 50:82] != noise.window(0, 32)).all()
    assert (noise.window(2 * end, 32) != noise.window(end, 32)).all()
    assert abs(across.mean()) < 0.2 and 0.9 < across.std() < 1.1


def test_a_video_does_not_depend_on_its_neighbours() -> None:
    generator = make_generator()
    t = frame_times(0.2, 25, 25)
    both = float_video(generator, t, 16, videos=(3, 7))
    torch.testing.assert_close(float_video(generator, t, 16, videos=(7,)), both[1:], atol=1e-4, rtol=1e-4)
    assert (float_video(generator, t, 16, seed=1) - both).abs().max() > 1e-2


def test_more_videos_than_a_chunk_holds_are_rendered_in_groups() -> None:
    generator = make_generator()
    t = frame_times(0.2, 25, 25)
    latents = draw_latents(generator, 0, range(5))
    chunks = list(render(generator, latents, t, chunk=2))
    assert [tuple(chunk.shape) for chunk in chunks] == [(5, 1, 3, 16, 16)] * 5
    together = torch.cat(list(render(generator, latents, t, chunk=100)), dim=1)
    assert (torch.cat(chunks, dim=1).int() - together.int()).abs().max() <= 1


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many folded networks were alive after each was made."""
    alive: list[int] = []
    networks: weakref.WeakSet = weakref.WeakSet()

    class Counted(FoldedSynthesis):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            networks.add(self)
            alive.append(len(networks))

    monkeypatch.setattr(rendering, "FoldedSynthesis", Counted)
    return alive


@pytest.mark.parametrize("chunk", [1, 16])
def test_a_single_video_is_folded_once(folds: list[int], chunk: int) -> None:
    generator = make_generator()
    float_video(generator, frame_times(4, 25, 25), chunk, videos=(3,))
    assert folds == [1]


def test_of_several_videos_few_are_folded_at_once_and_each_for_a_chunk_of_its_own(folds: list[int]) -> None:
    generator, t = make_generator(), frame_times(2.2, 25, 25)
    latents = draw_latents(generator, 0, range(5))
    chunks = list(render_float(generator, latents, t, chunk=11))
    assert [part.shape[1] for part in chunks] == [2] * 27 + [1]
    assert len(folds) == 5 * 6 and max(folds) <= 2  # 10 frames of a video at its turn
    for video, frames in enumerate(torch.cat(chunks, dim=1)):
        alone = float_video(generator, t, 16, videos=(video,))[0]
        torch.testing.assert_close(frames, alone, atol=1e-5, rtol=0)


def test_what_is_held_of_many_videos_does_not_grow_with_their_length(folds: list[int]) -> None:
    latents = draw_latents(generator := make_generator(), 0, range(40))
    for frames in render(generator, latents, frame_times(1, 25, 25), chunk=16):
        assert frames.shape[:2] == (40, 1)
        assert frames.untyped_storage().nbytes() <= 16 * 16 * 3 * 16 * 16  # bytes of 16 chunks
    assert len(folds) == 40 * 5


def test_a_few_moments_of_a_video_are_drawn_without_folding(folds: list[int]) -> None:
    generator, t = make_generator(), frame_times(0.4, 25, 25)
    whole = float_video(generator, t, 16)
    assert len(folds) == 2
    torch.testing.assert_close(float_video(generator, t[:3], 16), whole[:, :3], atol=1e-5, rtol=0)
    assert len(folds) == 2


@pytest.mark.parametrize("time_conditioning", ["concat_w", "sum_w"])
def test_time_in_the_styles_is_drawn_by_the_network_as_it_is(folds: list[int], time_conditioning: str) -> None:
    generator = make_generator(motion=LSTMMotion(6, 8, max_num_frames=16), time_conditioning=time_conditioning)
    t = frame_times(0.4, 25, 25)
    latents = draw_latents(generator, 0, [3, 7])
    motion_z = latents.motion.window(0, generator.synthesis.motion.num_codes(t))
    expected = generator.synthesis(latents.ws, t.expand(2, -1), None, motion_z)
    torch.testing.assert_close(float_video(generator, t, 16), expected, atol=1e-5, rtol=1e-5)
    assert not folds


def test_constant_noise_is_that_of_the_network_and_none_is_none() -> None:
    generator = make_generator(noise_inputs=True)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    t, latents = frame_times(0.4, 25, 25), draw_latents(generator, 0, [3])
    motion_z = latents.motion.window(0, generator.synthesis.motion.num_codes(t))
    drawn = {}
    for mode in ("const", "none", "random"):
        drawn[mode] = torch.cat(list(render_float(generator, latents, t, noise_mode=mode)), dim=1)
        if mode != "random":
            expected = generator.synthesis(latents.ws, t[None], None, motion_z, noise_mode=mode)
            torch.testing.assert_close(drawn[mode], expected, atol=1e-4, rtol=1e-4)
    assert (drawn["const"] - drawn["none"]).abs().max() > 1e-2
    assert (drawn["random"] - drawn["const"]).abs().max() > 1e-2


def test_shared_motion_under_different_content() -> None:
    generator = make_generator()
    latents = draw_latents(generator, 0, [0, 1], motion_videos=[5, 5])
    codes = latents.motion.window(0, 3)
    assert torch.equal(codes[0], codes[1]) and not torch.equal(latents.ws[0], latents.ws[1])
    assert torch.equal(codes[:1], draw_latents(generator, 0, [5]).motion.window(0, 3))


def test_truncation_pulls_styles_towards_their_mean() -> None:
    generator = make_generator()
    full = draw_latents(generator, 0, [0, 1]).ws
    half = draw_latents(generator, 0, [0, 1], truncation_psi=0.5).ws
    torch.testing.assert_close(half, (full + generator.mapping.w_avg) / 2)
    cut = draw_latents(generator, 0, [0, 1], truncation_psi=0.0, truncation_cutoff=2).ws
    torch.testing.assert_close(cut[:, :2], generator.mapping.w_avg.expand(2, 2, -1))
    torch.testing.assert_close(cut[:, 2:], full[:, 2:])


def test_truncation_of_a_conditional_generator_goes_to_the_mean_of_each_class() -> None:
    generator = make_generator(c_dim=3)
    labels = torch.eye(3)[[0, 2, 0]]
    ws = draw_latents(generator, 0, [0, 1, 2], c=labels, truncation_psi=0.0).ws
    torch.testing.assert_close(ws[0], ws[2])
    assert (ws[0] - ws[1]).abs().max() > 1e-3
    many = draw_latents(generator, 1, range(4000), c=labels[:1].expand(4000, -1)).ws
    torch.testing.assert_close(ws[0, 0], many[:, 0].mean(dim=0), atol=0.1, rtol=0)


def test_classes_are_drawn_per_video_when_none_is_given() -> None:
    generator = make_generator(c_dim=3)
    c = draw_latents(generator, 0, range(300)).c
    assert torch.equal(c.sum(dim=1), torch.ones(300))
    assert (c.mean(dim=0) - 1 / 3).abs().max() < 0.1
    assert torch.equal(draw_latents(generator, 0, [17]).c, c[17:18])


def test_running_averages_stay_where_they_are_even_in_training_mode() -> None:
    generator = make_generator().train()
    before = generator.mapping.w_avg.clone()
    list(render(generator, draw_latents(generator, 0, [0]), frame_times(0.1, 25, 25)))
    assert torch.equal(generator.mapping.w_avg, before)


def test_a_recurrent_motion_is_rendered_from_its_beginning() -> None:
    generator = make_generator(motion=LSTMMotion(z_dim=6, v_dim=8, max_num_frames=16))
    t = torch.arange(40, dtype=torch.float64)
    torch.testing.assert_close(float_video(generator, t, 6), float_video(generator, t, 1000), atol=1e-4, rtol=1e-4)


def test_an_image_generator_is_rendered_as_a_video_that_stands_still() -> None:
    generator = make_generator(motion=Motionless())
    t = frame_times(0.4, fps=25, data_fps=25, start=3)
    video = float_video(generator, t, 6)
    torch.testing.assert_close(video, video[:, :1].expand(-1, 10, -1, -1, -1), atol=1e-5, rtol=1e-5)
    latents = draw_latents(generator, 0, [3, 7])
    image = generator.synthesis(latents.ws, torch.zeros(2, 1))
    torch.testing.assert_close(video[:, :1], image, atol=1e-5, rtol=1e-5)
    assert (video[0] - video[1]).abs().max() > 1e-2


def test_times_count_frames_of_the_training_data() -> None:
    t = frame_times(2, fps=50, data_fps=25, start=1.5)
    assert t.dtype == torch.float64 and len(t) == 100
    torch.testing.assert_close(t[:3], torch.tensor([37.5, 38.0, 38.5], dtype=torch.float64))
    assert len(frame_times(0.001, 25, 25)) == 1


def test_bytes_are_truncated_and_clamped() -> None:
    frames = torch.tensor([-2.0, -1.0, -0.999, 0.0, 1.0, 3.0])
    assert to_uint8(frames).tolist() == [0, 0, 0, 128, 255, 255]


@pytest.mark.slow
@pytest.mark.parametrize("file", [None, "long.mp4"])
def test_memory_is_that_of_a_thousand_frames_after_a_hundred_thousand(tmp_path: Path, file: str | None) -> None:
    given = [] if file is None else [str(tmp_path / file)]  # the index of the file is kept until it is complete
    command = [sys.executable, "-m", "tests.stylegan_v.long_video", "100000", *given]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    resident = json.loads(run.stdout)
    assert len(resident) == 100 and max(resident) - resident[0] < 8 * 2**20
