from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.kernel import kernel_distance
from stylegan_v.metrics.random_features import AppearanceFeatures, MotionFeatures, random_filters, standard_size


def moving_waves(num: int, seed: int, size: int = 32) -> Tensor:
    """Clips [num, 16, 3, size, size] of coloured waves, each drifting at its own speed."""
    generator = torch.Generator().manual_seed(seed)
    phase, speed, colour = (
        torch.rand(num, *shape, generator=generator) for shape in ((1, 1, 1), (1, 1, 1), (1, 3, 1, 1))
    )
    t = torch.arange(16.0)[None, :, None, None]
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    wave = torch.sin(2 * torch.pi * (2 * x + y + phase + t * (0.02 + 0.05 * speed)))
    return wave.unsqueeze(2) * colour


def shuffled(clips: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.stack([clip[torch.randperm(16, generator=generator)] for clip in clips])


@pytest.fixture(scope="module")
def motion() -> MotionFeatures:
    return MotionFeatures()


def test_a_still_clip_has_no_motion_whatever_it_shows(motion: MotionFeatures) -> None:
    still = torch.rand(2, 1, 3, 32, 32).expand(-1, 16, -1, -1, -1) * 2 - 1
    assert motion(still).abs().max() < 1e-4


def test_motion_does_not_see_a_constant_colour_over_the_clip(motion: MotionFeatures) -> None:
    clips = moving_waves(2, 0) / 2
    torch.testing.assert_close(motion(clips + 0.3), motion(clips), atol=1e-4, rtol=1e-4)


def test_motion_equals_plain_convolution_in_space_and_time(motion: MotionFeatures) -> None:
    clips = moving_waves(2, 0)
    filters = random_filters("motion/0/2", 16, 3, 3, 5, 5)
    filters = filters - filters.mean(dim=2, keepdim=True)
    filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None, None]
    response = F.relu(F.conv3d(clips.transpose(1, 2), filters, dilation=(2, 1, 1), stride=(1, 2, 2))).mean(dim=(3, 4))
    expected = torch.cat([response.mean(dim=2), response.std(dim=2)], dim=1) * 16
    torch.testing.assert_close(motion(clips)[:, 32:64], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_frozen_and_shuffled_clips_move_differently_but_look_alike(motion: MotionFeatures, distance) -> None:  # noqa: ANN001
    reference, real = moving_waves(96, 0), moving_waves(96, 1)
    frozen = real[:, :1].expand_as(real)
    seen = {"reference": reference, "real": real, "frozen": frozen, "shuffled": shuffled(real)}
    moves = {name: motion(clips) for name, clips in seen.items()}
    floor = distance(moves["reference"], moves["real"]).abs()
    assert distance(moves["reference"], moves["frozen"]) > 10 * floor
    assert distance(moves["reference"], moves["shuffled"]) > 10 * floor

    appearance = AppearanceFeatures()
    looks = {name: appearance(clips[:, ::5].flatten(0, 1)) for name, clips in seen.items()}
    torch.testing.assert_close(
        distance(looks["reference"], looks["shuffled"]), distance(looks["reference"], looks["real"]), atol=0.5, rtol=0.5
    )
    assert distance(looks["reference"], appearance(torch.rand(384, 3, 32, 32) * 2 - 1)) > distance(
        looks["reference"], looks["frozen"]
    )


def test_appearance_sees_brightness_and_texture() -> None:
    appearance = AppearanceFeatures()
    frames = moving_waves(4, 0)[:, 0]
    assert (appearance(frames + 0.2) - appearance(frames)).abs().max() > 0.1
    assert (appearance(frames * 0.5) - appearance(frames)).abs().max() > 0.1


@pytest.mark.parametrize(
    "size, expected", [((32, 32), (32, 32)), ((64, 96), (32, 48)), ((16, 16), (32, 32)), ((144, 256), (32, 57))]
)
def test_frames_of_any_size_are_brought_to_one(size: tuple[int, int], expected: tuple[int, int]) -> None:
    frames = torch.full((1, 3, *size), 0.25)
    resized = standard_size(frames)
    assert resized.shape[2:] == expected
    torch.testing.assert_close(resized, torch.full_like(resized, 0.25))


def test_larger_frames_are_box_filtered() -> None:
    frames = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(standard_size(frames), F.avg_pool2d(frames, 2))


def test_too_short_clips_are_refused(motion: MotionFeatures) -> None:
    with pytest.raises(ValueError, match="10 frames, not 9"):
        motion(torch.zeros(1, 9, 3, 32, 32))


def test_the_measure_is_frozen(motion: MotionFeatures) -> None:
    """Recorded when the features were fixed; another number means that older figures no longer compare."""
    t, colour, y, x = torch.meshgrid(
        torch.arange(16.0), torch.arange(3.0), torch.arange(32.0), torch.arange(32.0), indexing="ij"
    )
    clip = torch.sin(0.3 * x + 0.2 * y + colour - 0.5 * t).unsqueeze(0)
    appearance = AppearanceFeatures()(clip[0, :1])
    assert appearance.shape == (1, 144) and motion(clip).shape == (1, 192)
    torch.testing.assert_close(appearance[0, ::24], torch.tensor(RECORDED_APPEARANCE), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(motion(clip)[0, ::32], torch.tensor(RECORDED_MOTION), atol=1e-4, rtol=1e-4)


RECORDED_APPEARANCE = [3.55412, 4.19931, 0.94378, 1.66315, 0.00773, 0.03093]
RECORDED_MOTION = [2.003, 4.43688, 4.44401, 2.97544, 2.96239, 5.57748]
