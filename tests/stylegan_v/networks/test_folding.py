"""The network that is folded for one video shows what the readable one shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_v.networks import Generator, LSTMMotion, MotionEncoder, Motionless
from stylegan_v.networks.folding import FoldedSynthesis
from stylegan_v.networks.synthesis import SynthesisNetwork

# One network for each thing that can differ.
NETWORKS: dict[str, dict[str, Any]] = {
    "square": {},
    "larger": {"resolution": 32},
    "oblong": {"resolution": (36, 64)},
    "cropped": {"resolution": (21, 17)},
    "clamped": {"conv_clamp": 0.5},
    "free": {"conv_clamp": None},
    "noisy": {"noise_inputs": True, "resolution": (24, 36)},
    "motionless": {"motion": Motionless()},
    "recurrent motion": {"motion": LSTMMotion(z_dim=6, v_dim=8, max_num_frames=16)},
    "embeddings without effect": {"motion_input": False},
}


def make_synthesis(resolution: int | tuple[int, int] = 16, **settings: Any) -> SynthesisNetwork:
    """A small network whose every parameter matters: none is the zero it starts as."""
    torch.manual_seed(0)
    settings.setdefault("motion", MotionEncoder(z_dim=6, v_dim=8, num_frequencies=8, kernel_size=3, max_num_frames=64))
    synthesis = (
        Generator(resolution, **{"w_dim": 8, "channel_base": 128, "channel_max": 8, **settings}).eval().synthesis
    )
    for name, parameter in synthesis.requires_grad_(False).named_parameters():
        if name.endswith(("bias", "noise_strength")):
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return synthesis


def inputs(
    synthesis: SynthesisNetwork, num_videos: int = 1, num_frames: int = 5, w_dim: int = 8
) -> tuple[Tensor, Tensor]:
    """Styles [B, L, D] and embeddings [B, T, V], in the network's precision."""
    ws = torch.randn(num_videos, synthesis.num_ws, w_dim)
    motion_v = torch.randn(num_videos, num_frames, synthesis.motion.out_dim)
    return ws.to(synthesis.const), motion_v.to(synthesis.const)


@pytest.mark.parametrize("noise_mode", ["const", "none"])
@pytest.mark.parametrize("network", NETWORKS)
def test_frames_are_those_of_the_readable_network(network: str, noise_mode: str) -> None:
    synthesis = make_synthesis(**NETWORKS[network]).double()  # both round RGB to float32, and nothing else
    ws, motion_v = inputs(synthesis, num_videos=2)
    expected = synthesis.frames(ws, motion_v, noise_mode=noise_mode)
    for video in range(2):
        frames = FoldedSynthesis(synthesis, ws[video], noise_mode)(motion_v[video])
        torch.testing.assert_close(frames, expected[video].double(), atol=1e-6, rtol=1e-6)
    assert (expected[0] - expected[1]).abs().max() > 1e-2


def test_rounding_of_full_widths_stays_below_a_hundred_thousandth() -> None:
    synthesis = make_synthesis(32, motion=MotionEncoder(), w_dim=512, channel_base=16384, channel_max=512)
    ws, motion_v = inputs(synthesis, num_frames=3, w_dim=512)
    expected = synthesis.frames(ws, motion_v)[0]
    frames = FoldedSynthesis(synthesis, ws[0])(motion_v[0])
    assert (frames - expected).abs().max() < 1e-5 * expected.abs().max()


def test_noise_differs_between_frames_and_is_drawn_as_in_the_readable_network() -> None:
    synthesis = make_synthesis(noise_inputs=True)
    ws, motion_v = inputs(synthesis)
    motion_v[:] = motion_v[:, :1]
    torch.manual_seed(1)
    expected = synthesis.frames(ws, motion_v, noise_mode="random")[0]
    torch.manual_seed(1)
    frames = FoldedSynthesis(synthesis, ws[0], "random")(motion_v[0])
    torch.testing.assert_close(frames, expected, atol=1e-5, rtol=1e-5)
    assert (frames[0] - frames[1]).abs().max() > 1e-2


def test_frames_taken_a_few_at_a_time_are_the_same() -> None:
    synthesis = make_synthesis(32, noise_inputs=True)
    ws, motion_v = inputs(synthesis, num_frames=7)
    folded = FoldedSynthesis(synthesis, ws[0])
    whole = folded(motion_v[0])
    for few in ([7, 4, 2, 1], [1, 1, 1, 1], [3, 7, 7, 2]):
        folded.frames_at_once = few
        torch.testing.assert_close(folded(motion_v[0]), whole, atol=1e-6, rtol=1e-6)


def test_features_of_a_few_frames_fit_a_cache() -> None:
    synthesis = make_synthesis(64, channel_base=16384, channel_max=64)
    at_once = FoldedSynthesis(synthesis, inputs(synthesis)[0][0]).frames_at_once
    assert at_once == [16 * 2**20 // (64 * side**2 * 4) for side in (4, 8, 16, 32, 64)]


def test_a_folded_network_is_a_copy_without_gradients() -> None:
    synthesis = make_synthesis().requires_grad_(True)
    ws, motion_v = inputs(synthesis)
    folded = FoldedSynthesis(synthesis, ws[0].requires_grad_(True))
    before = folded(motion_v[0].requires_grad_(True))
    assert not before.requires_grad
    with torch.no_grad():
        for parameter in synthesis.parameters():
            parameter.mul_(1.5)
    assert torch.equal(folded(motion_v[0]), before)


@pytest.mark.parametrize("time_conditioning", ["concat_w", "sum_w"])
def test_styles_that_differ_from_frame_to_frame_cannot_be_folded(time_conditioning: str) -> None:
    synthesis = make_synthesis(time_conditioning=time_conditioning, w_dim=16)
    with pytest.raises(ValueError, match=f"time_conditioning {time_conditioning} gives every frame kernels of its own"):
        FoldedSynthesis(synthesis, inputs(synthesis, w_dim=16)[0][0])


def stays_near_under_autocast(device: str) -> None:
    synthesis = make_synthesis(32, noise_inputs=True).to(device)
    ws, motion_v = inputs(synthesis)
    plain = synthesis.frames(ws, motion_v)[0]
    with torch.autocast(device, dtype=torch.bfloat16):
        folded = FoldedSynthesis(synthesis, ws[0])
        rounded = folded(motion_v[0])
    assert rounded.dtype == torch.float32 and folded.blocks[1].convs[0].kernel.dtype == torch.bfloat16
    assert 0 < (rounded - plain).abs().max() < 0.05 * plain.abs().max()
    # The type was chosen when it was folded; where it is called does not matter.
    torch.testing.assert_close(folded(motion_v[0]), rounded, atol=1e-5, rtol=1e-5)


def test_bfloat16_autocast_stays_near_float32() -> None:
    stays_near_under_autocast("cpu")


@pytest.mark.gpu
def test_bfloat16_autocast_stays_near_float32_on_a_gpu() -> None:
    stays_near_under_autocast("cuda")


@pytest.mark.gpu
def test_frames_on_a_gpu_are_those_of_the_readable_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    synthesis = make_synthesis((36, 64), noise_inputs=True)
    ws, motion_v = inputs(synthesis)
    expected = synthesis.frames(ws, motion_v)[0]
    frames = FoldedSynthesis(synthesis.cuda(), ws[0].cuda())(motion_v[0].cuda())
    assert (frames.cpu() - expected).abs().max() < 1e-5 * expected.abs().max()
