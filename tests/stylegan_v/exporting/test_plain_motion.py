"""Motion as a graph: the exact path's values at any time, from a window of codes of any place and length."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from stylegan_v.exporting.plain_motion import PlainMotion, TapwiseConv1d, plain_motion
from stylegan_v.networks import AcyclicEncoding, LSTMMotion, Motionless, SmoothEncoding
from stylegan_v.networks.layers import EqualizedConv1d
from stylegan_v.rendering import MotionNoise
from tests.stylegan_v.exporting.small import DISTANCE, REACH, motion


@pytest.fixture
def noise() -> MotionNoise:
    return MotionNoise(3, torch.arange(2), 6)


def test_a_convolution_by_taps_is_the_convolution() -> None:
    layer = EqualizedConv1d(5, 7, 3)
    layer.bias.data.normal_(std=30)
    x = torch.randn(2, 9, 5)

    tapwise = TapwiseConv1d(layer)(x.double())

    assert tapwise.dtype == torch.float64
    torch.testing.assert_close(tapwise, layer.double()(x.double().transpose(1, 2)).transpose(1, 2))
    assert (tapwise < 0).any() and (tapwise > 0).any()


@pytest.mark.parametrize("encoding", [AcyclicEncoding, SmoothEncoding])
@pytest.mark.parametrize("start", [0.0, 1e3 + 0.5, 1e9 + 0.25])
def test_embeddings_are_those_of_sampling_at_any_time(
    encoding: type[AcyclicEncoding | SmoothEncoding], start: float, noise: MotionNoise
) -> None:
    moving = motion(encoding, c_dim=3)
    c = torch.eye(3)[:2]
    t = start + torch.tensor([0.0, 0.25, 7.9, 8.0, 30.5], dtype=torch.float64)
    first = int(start // DISTANCE)

    found = PlainMotion(moving)(t.expand(2, -1), noise.window(first, 5 + 1 + REACH), torch.tensor([first, first]), c)

    torch.testing.assert_close(found, moving.path(noise.window, c)(t), atol=1e-6, rtol=0)


def test_each_video_has_its_own_times_and_window(noise: MotionNoise) -> None:
    moving = motion()
    t = torch.tensor([[5.0, 20.0], [800.5, 810.0]], dtype=torch.float64)
    first = torch.tensor([0, 99])
    windows = torch.stack([noise.window(int(code), 12)[video] for video, code in enumerate(first)])

    found = PlainMotion(moving)(t, windows, first)

    for video in range(2):
        expected = moving.path(noise.window)(t[video])[video]
        torch.testing.assert_close(found[video], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("t", [-0.5, 15.9, 32.0, float("nan")], ids=["negative", "before", "after", "no number"])
def test_times_outside_of_the_window_are_refused(t: float, noise: MotionNoise) -> None:
    window, first = noise.window(2, 3 + REACH)[:1], torch.tensor([2])  # for times 16 to 31.9

    assert PlainMotion(motion())(torch.tensor([[16.0, 31.9]]).double(), window, first).isfinite().all()
    with pytest.raises(RuntimeError, match="out of bounds"):
        PlainMotion(motion())(torch.tensor([[t]]).double(), window, first)


def test_pictures_need_no_motion_and_a_recurrence_cannot_be_exported() -> None:
    assert plain_motion(Motionless()) is None
    with pytest.raises(InputError, match="LSTMMotion"):
        plain_motion(LSTMMotion(z_dim=4, v_dim=4))
