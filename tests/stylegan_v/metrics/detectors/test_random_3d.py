from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from datasets.synthetic import SpriteVideo
from errors import InputError
from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.detectors.interface import Detector
from stylegan_v.metrics.detectors.random_3d import RANDOM, Random2D, Random3D, random_filters
from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.kernel import kernel_distance
from stylegan_v.noise import AddressedRandom

NUM_STRENGTHS, NUM_BALANCES, NUM_CHANGE = 160, 43, 43  # of random_3d; of its first layer's 64 filters 43 see change


def noise_clips(num: int, *shape: int) -> Tensor:
    """Clips [num, T, 3, H, W] of bytes that are the same everywhere."""
    draws = AddressedRandom(0, 0, "clips", torch.arange(num)).uniform("bytes", *shape)
    return (draws * 256).to(torch.uint8)


def sprites(num: int, seed: int) -> Tensor:
    return torch.stack([SpriteVideo(seed + i, 12, (32, 32)).read(range(12)) for i in range(num)])


def with_noise(clips: Tensor) -> Tensor:
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0)) * 15
    return (clips + noise).clamp(0, 255).round().to(torch.uint8)


def blurred(clips: Tensor) -> Tensor:
    padded = F.pad(clips.flatten(0, 1).float(), (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(padded, 3, stride=1).view(clips.shape).round().to(torch.uint8)


def grey(clips: Tensor) -> Tensor:
    return clips.float().mean(dim=2, keepdim=True).expand(clips.shape).to(torch.uint8)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "frozen": lambda clips: frozen(clips, np.random.default_rng(0)),
    "shuffled": lambda clips: shuffled(clips, np.random.default_rng(0)),
    "reversed": lambda clips: clips.flip(1),
    "noise": with_noise,
    "blur": blurred,
    "grey": grey,
    "negative": lambda clips: 255 - clips,
}


@pytest.fixture(scope="module")
def sets() -> dict[str, Tensor]:
    """Two sets of sprite videos and what becomes of the second one."""
    other = sprites(64, 5000)
    return {"reference": sprites(64, 0), "real": other} | {name: change(other) for name, change in CHANGES.items()}


@pytest.fixture(scope="module")
def clip_features(sets: dict[str, Tensor]) -> dict[str, Tensor]:
    detector = Random3D()
    return {name: detector.features(clips) for name, clips in sets.items()}


@pytest.fixture(scope="module")
def frame_features(sets: dict[str, Tensor]) -> dict[str, Tensor]:
    detector = Random2D()
    return {name: detector.features(clips[:, ::4]) for name, clips in sets.items()}


# The factors in comments were measured with 64 clips of 12 frames of 32 x 32 pixels. They grow with the clips:
# 128 clips of 16 frames of 64 x 64 pixels give 74 (frozen), 17 (shuffled), 3.1 (reversed), 9.9 (noise), 4.1 (blur).
@pytest.mark.parametrize(
    ("change", "least"),
    [
        ("frozen", 15),  # 26
        ("shuffled", 6),  # 10
        ("reversed", 2),  # 2.9
        ("noise", 2.5),  # 3.9
        ("blur", 1.6),  # 2.3
        ("grey", 4),  # 6.1
        ("negative", 2),  # 3.3
    ],
)
def test_distance_of_changed_clips_is_above_that_of_real_ones(
    clip_features: dict[str, Tensor], change: str, least: float
) -> None:
    floor = frechet_distance(clip_features["reference"], clip_features["real"])
    changed = frechet_distance(clip_features["reference"], clip_features[change])
    assert changed > least * floor


def test_kernel_distance_of_features_sees_motion_too(clip_features: dict[str, Tensor]) -> None:
    floor = kernel_distance(clip_features["reference"], clip_features["real"]).abs()
    for change in ("frozen", "shuffled", "reversed"):  # measured: 2.3, 1.5, 0.21; between real ones -0.009
        assert kernel_distance(clip_features["reference"], clip_features[change]) > 10 * floor


# Measured: 2.3, 3.7, 27, 15.
@pytest.mark.parametrize(("change", "least"), [("noise", 1.6), ("blur", 2.5), ("grey", 15), ("negative", 8)])
def test_frames_that_look_wrong_are_seen(frame_features: dict[str, Tensor], change: str, least: float) -> None:
    floor = frechet_distance(frame_features["reference"], frame_features["real"])
    assert frechet_distance(frame_features["reference"], frame_features[change]) > least * floor


def test_frames_alone_do_not_know_their_order(frame_features: dict[str, Tensor]) -> None:
    floor = frechet_distance(frame_features["reference"], frame_features["real"])
    changed = frechet_distance(frame_features["reference"], frame_features["shuffled"])
    assert changed < 1.3 * floor


def test_features_of_ordinary_clips_are_near_one(clip_features: dict[str, Tensor]) -> None:
    means = clip_features["real"].mean(dim=0)
    assert means.min() > 0.5 and means.max() < 3 and 0.8 < means.mean() < 1.2


def test_features_are_what_they_were() -> None:
    """Changing any of these numbers changes every recorded figure: give the definition another version then."""
    detector = Random3D()
    row = detector.features(noise_clips(1, 8, 3, 24, 32))[0]
    # fmt: off
    expected = [
        1.8554914, 1.6811963, 2.0121427, 1.9758143, 2.0199010, 1.6724035, 1.6017919, 1.7136388,
        1.6899025, 1.5954809, 1.6368212, 1.6374081, 1.5431590, 1.0085455, 0.9670534, 0.9824383,
    ]
    # fmt: on
    torch.testing.assert_close(row[::13], torch.tensor(expected), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(row.norm().item(), 22.831146, rtol=1e-5, atol=0)
    assert detector.digest == "definition:2108273a8e2df814d0a33ada31d8ea48f871f391274107800b9e5f1fcd35b109"
    assert Random2D().digest == "definition:37d2f25ae920d87224d18e8c4832f0ed9ef6831ec0ac68f8d9b04105b0ab9a7e"


def test_features_are_strengths_and_balances_of_plain_convolutions() -> None:
    clips = noise_clips(1, 9, 3, 64, 80)
    x = rearrange(clips.double() / 127.5 - 1, "B T C H W -> B C T H W")
    strengths = []
    for i, (width, size) in enumerate(((64, 5), (48, 3), (48, 3))):
        filters = random_filters(f"random_3d/{i}", width, x.shape[1], 3, size, 2 / 3) * (1, 2**0.5, 2**0.5)[i]
        response = F.conv3d(x, filters)[..., ::2, ::2]
        strengths.append(3 * response.square().mean(dim=(2, 3, 4)) ** 0.25)
        if i == 0:
            r = response[:, -NUM_CHANGE:]
            power = r.square().mean(dim=(2, 3, 4))
            balance = 1 + 3 * (r * r.abs()).mean(dim=(2, 3, 4)) / (power + 255**-2)
        x = response.clamp(min=0)
    expected = torch.cat([*strengths, balance], dim=1).float()
    torch.testing.assert_close(Random3D().features(clips), expected, rtol=1e-4, atol=1e-5)


def test_filters_of_edges_and_of_change_sum_to_zero() -> None:
    everything, edges, change = random_filters("any", 12, 3, 3, 5, 0.5).split((3, 3, 6))
    zeros = torch.zeros(3, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(edges.sum(dim=(3, 4)), zeros, atol=1e-12, rtol=0)
    torch.testing.assert_close(change.sum(dim=2), torch.zeros(6, 3, 5, 5, dtype=torch.float64), atol=1e-12, rtol=0)
    assert everything.sum(dim=(2, 3, 4)).abs().min() > 0.01
    torch.testing.assert_close(everything.flatten(1).norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_a_still_clip_has_no_change_and_no_arrow_of_time() -> None:
    still = noise_clips(2, 1, 3, 64, 64).expand(-1, 8, -1, -1, -1)
    features = Random3D().features(still)
    assert features[:, 64 - NUM_CHANGE : 64].max() < 3 * 1e-3  # the fourth root of the rounding of single precision
    torch.testing.assert_close(features[:, NUM_STRENGTHS:], torch.ones(2, NUM_BALANCES), atol=1e-6, rtol=0)
    assert features[:, : 64 - NUM_CHANGE].min() > 0.5


@pytest.mark.parametrize("name", RANDOM)
def test_features_are_the_same_to_the_last_bit_in_any_company(name: str) -> None:
    detector, clips = RANDOM[name](), noise_clips(5, 8, 3, 20, 24)
    whole, chances = detector.features(clips), detector.probabilities(clips)
    assert torch.equal(whole, torch.cat([detector.features(part) for part in clips.split((1, 3, 1))]))
    assert torch.equal(chances, torch.cat([detector.probabilities(part) for part in clips.split((2, 3))]))


@pytest.mark.parametrize(("name", "num_items", "num_features"), [("random_3d", 2, 203), ("random_2d", 14, 160)])
def test_what_a_detector_promises(name: str, num_items: int, num_features: int) -> None:
    detector = RANDOM[name]()
    assert isinstance(detector, Detector) and detector.name == name
    assert detector.caveat == "not comparable with published numbers"
    features = detector.features(noise_clips(2, 7, 3, 16, 17))
    assert features.shape == (num_items, num_features) and features.dtype == torch.float32
    assert not features.requires_grad and features.isfinite().all()


def test_frames_come_clip_by_clip() -> None:
    clips = noise_clips(2, 3, 3, 16, 16)
    single = [Random2D().features(clips[i : i + 1, j : j + 1]) for i in range(2) for j in range(3)]
    torch.testing.assert_close(Random2D().features(clips), torch.cat(single))


def test_large_and_small_frames_are_seen_at_one_size() -> None:
    """Pixels doubled and box-filtered again are the same frame; one that is smaller is interpolated."""
    clips = noise_clips(2, 20, 3, 64, 64)  # more frames than are made smaller at once
    doubled = clips.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    torch.testing.assert_close(Random3D().features(doubled), Random3D().features(clips), rtol=1e-4, atol=1e-5)


def test_probabilities_are_varied_for_varied_clips_and_equal_for_equal_ones(sets: dict[str, Tensor]) -> None:
    chances = Random3D().probabilities(sets["real"]).double()
    torch.testing.assert_close(chances.sum(dim=1), torch.ones(64, dtype=torch.float64), atol=1e-6, rtol=0)
    assert chances.shape == (64, 32) and len(chances.argmax(dim=1).unique()) > 20  # measured: 27
    information = (chances * (chances / chances.mean(dim=0)).log()).sum(dim=1).mean()
    assert 3 < information.exp() < 10  # measured: 5.0


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("random_3d", (6, 3, 32, 32), "random_3d: clips of 6 frames are too short: it needs 7"),
        ("random_3d", (8, 3, 15, 32), "random_3d: frames of 15x32 pixels: it needs 16"),
        ("random_2d", (1, 3, 32, 8), "random_2d: frames of 32x8 pixels: it needs 16"),
    ],
)
def test_what_is_too_short_or_too_small_is_refused(name: str, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        RANDOM[name]().features(torch.zeros(1, *shape, dtype=torch.uint8))


def test_draws_of_others_and_gradients_are_left_alone() -> None:
    before = torch.get_rng_state()
    with torch.enable_grad():
        features = Random3D().features(noise_clips(1, 7, 3, 16, 16))
    assert features.grad_fn is None and torch.equal(before, torch.get_rng_state())
