"""Clips of an update: the same whoever asks for them, with the statistics of the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.datamodule import SyntheticVideos
from stylegan_v.networks import Generator, LSTMMotion, Motionless
from stylegan_v.noise import AddressedRandom
from stylegan_v.training_clips import FakeInputs, draw_inputs, generate, mix_styles, split
from tests.stylegan_v import tiny_gan

DEVICE = torch.device("cpu")


@pytest.fixture
def clips() -> SyntheticVideos:
    clips = tiny_gan.data(8, labelled=True)
    clips.setup("fit")
    return clips


def draw(clips: SyntheticVideos, numbers: list[int], *, update: int = 3, phase: str = "generator") -> FakeInputs:
    return draw_inputs(tiny_gan.generator(clips.c_dim), clips, update, phase, numbers, DEVICE)


def test_inputs_of_a_clip_do_not_depend_on_its_company(clips: SyntheticVideos) -> None:
    network = tiny_gan.generator(clips.c_dim)
    together, alone = draw(clips, [0, 1, 2, 3, 4, 5]), draw(clips, [5])
    assert torch.equal(together.z[5], alone.z[0])
    assert torch.equal(together.t[5], alone.t[0])
    assert torch.equal(together.c[5], alone.c[0])
    length = min(together.motion_z.shape[1], alone.motion_z.shape[1])
    assert torch.equal(together.motion_z[5, :length], alone.motion_z[0, :length])
    clip, _ = generate(network, together)
    torch.testing.assert_close(clip[5:], generate(network, alone)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("other", [{"update": 4}, {"phase": "discriminator"}])
def test_every_update_and_phase_has_its_own_inputs(clips: SyntheticVideos, other: dict) -> None:
    first, second = draw(clips, [0, 1]), draw(clips, [0, 1], **other)
    assert not torch.isclose(first.z, second.z).any(dim=1).all()
    assert not torch.equal(first.t, second.t)


def test_times_lie_in_the_video_and_start_between_frames(clips: SyntheticVideos) -> None:
    t = draw(clips, list(range(64))).t
    assert t.dtype == torch.float64
    assert t.min() >= 0 and t.max() <= 23
    assert (t % 1 != 0).any()
    torch.testing.assert_close(t.diff(dim=1), t.diff(dim=1).round())  # distances stay whole


def test_label_and_length_come_from_the_same_video(clips: SyntheticVideos) -> None:
    """Videos of the first class are long, all others barely long enough."""
    lengths = np.where(clips.labels[:, 0] == 1, 24, 3)
    clips.videos.lengths = lengths.astype(np.int64)
    inputs = draw(clips, list(range(64)))
    assert torch.equal(inputs.c.sum(dim=1), torch.ones(64))
    late = inputs.t.amax(dim=1) > 2
    assert late.any()
    assert (inputs.c[late, 0] == 1).all()


def test_videos_are_drawn_uniformly(clips: SyntheticVideos) -> None:
    expected = torch.from_numpy(clips.labels).mean(dim=0)
    found = draw(clips, list(range(2000))).c.mean(dim=0)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_recurrent_motion_stands_at_whole_frames_and_starts_at_code_0(clips: SyntheticVideos) -> None:
    motion = LSTMMotion(z_dim=4, v_dim=4, c_dim=clips.c_dim, max_num_frames=24)
    network = Generator(16, z_dim=4, w_dim=4, c_dim=clips.c_dim, motion=motion, channel_base=64, channel_max=4)
    inputs = draw_inputs(network, clips, 0, "generator", [0, 1], DEVICE)
    assert torch.equal(inputs.t, inputs.t.round())
    assert inputs.first_code == 0
    assert inputs.motion_z.shape == (2, motion.num_codes(inputs.t), 4)
    assert generate(network, inputs)[0].shape == (2, 3, 3, 16, 16)


def test_without_motion_an_image_depends_on_content_and_label_alone(clips: SyntheticVideos) -> None:
    network = Generator(16, z_dim=4, w_dim=4, c_dim=clips.c_dim, motion=Motionless(), channel_base=64, channel_max=4)
    inputs = draw_inputs(network, clips, 0, "generator", [0, 1], DEVICE)
    clip, ws = generate(network, inputs)
    assert clip.shape == (2, 3, 3, 16, 16)
    expected = network.synthesis(ws, torch.zeros(2, 3), inputs.c)
    torch.testing.assert_close(clip, expected, rtol=1e-5, atol=1e-5)


def test_mean_style_stays_while_clips_are_generated(clips: SyntheticVideos) -> None:
    network = tiny_gan.generator(clips.c_dim).train()
    generate(network, draw(clips, [0, 1]), style_mixing_prob=1.0)
    assert torch.equal(network.mapping.w_avg, torch.zeros(8))


def test_mixed_styles_follow_the_other_latent_from_some_layer_on() -> None:
    random = AddressedRandom(0, 0, "generator", torch.arange(200))
    ws, other = torch.zeros(200, 6, 2), torch.ones(200, 6, 2)
    mixed = mix_styles(ws, other, 1.0, random)[..., 0]
    assert (mixed[:, 0] == 0).all() and (mixed[:, -1] == 1).all()
    assert (mixed.diff(dim=1) >= 0).all()
    assert set(mixed.sum(dim=1).tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_share_of_mixed_clips_is_the_probability() -> None:
    random = AddressedRandom(0, 0, "generator", torch.arange(1000))
    mixed = mix_styles(torch.zeros(1000, 4, 1), torch.ones(1000, 4, 1), 0.3, random).amax(dim=(1, 2))
    assert mixed.mean().item() == pytest.approx(0.3, abs=0.05)


def test_split_deals_clips_out_round_robin() -> None:
    batch = {
        "clip": torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1, 1).expand(4, 2, 3, 4, 4) * 85,
        "t": torch.arange(8).view(4, 2),
        "c": torch.eye(4),
    }
    first, second = split(batch, [1, 3, 5, 7], 2)
    assert (first.numbers, second.numbers) == ([1, 5], [3, 7])
    torch.testing.assert_close(first.clip[:, 0, 0, 0, 0], torch.tensor([-1.0, 170 / 127.5 - 1]))
    torch.testing.assert_close(second.clip[:, 0, 0, 0, 0], torch.tensor([85 / 127.5 - 1, 1.0]))
    assert second.t.tolist() == [[2, 3], [6, 7]]
    assert torch.equal(second.c, torch.eye(4)[1::2])


def test_split_without_labels_has_no_condition() -> None:
    batch = {"clip": torch.zeros(2, 1, 3, 4, 4, dtype=torch.uint8), "t": torch.zeros(2, 1), "c": torch.zeros(2, 0)}
    assert split(batch, [0, 1], 1)[0].c is None
