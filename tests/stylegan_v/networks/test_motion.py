"""The acyclic encoding's promises: continuity, knots, locality, windows; and the LSTM baseline."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.networks.motion import LSTMMotion, MotionEncoder, locate, time_frequencies


def encoder(**settings: object) -> MotionEncoder:
    return MotionEncoder(6, 8, num_frequencies=5, kernel_size=3, max_num_frames=128, **settings)


def test_periods_are_log_spaced_between_the_longest_and_the_shortest() -> None:
    freqs = time_frequencies(3, 16, 1024)
    torch.testing.assert_close(freqs, 2 * torch.pi / torch.tensor([[1024.0, 128.0, 16.0]]))


def test_at_a_code_the_embedding_is_its_aligner() -> None:
    motion = encoder()
    t = torch.tensor([[0.0, 16.0, 64.0]])
    motion_z = torch.randn(1, motion.num_codes(t), 6)
    codes = motion.trajectory(motion_z)[0, [0, 1, 4]]
    torch.testing.assert_close(motion(t, None, motion_z)[0], motion.time_encoder.aligners_predictor(codes))


def test_the_embedding_is_continuous_across_codes() -> None:
    motion = encoder()
    t = torch.tensor([[32 - 1e-9, 32.0]], dtype=torch.float64)
    motion_z = torch.randn(1, motion.num_codes(t), 6)
    before, after = motion(t, None, motion_z)[0]
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)  # the phase is float32
    assert not torch.allclose(motion(t - 8, None, motion_z)[0, 0], after, atol=1e-2)


def test_a_window_of_codes_gives_the_same_embedding() -> None:
    motion = encoder()
    t = torch.tensor([[40.25, 50.0, 70.0], [3.0, 5.0, 9.0]])
    motion_z = torch.randn(2, motion.num_codes(t), 6)
    first, count = motion.window(t)
    assert first.tolist() == [2, 0]
    assert count == 4 + motion.reach  # codes 2 to 4 and the one after
    window = torch.stack([motion_z[b, start : start + count] for b, start in enumerate(first.tolist())])
    whole, part = motion(t, None, motion_z), motion(t, None, window, first_code=first)
    torch.testing.assert_close(part, whole)


def test_a_code_depends_on_its_own_and_the_next_noise_codes_only() -> None:
    motion = encoder()
    motion_z = torch.randn(1, 20, 6, requires_grad=True)
    (grad,) = torch.autograd.grad(motion.trajectory(motion_z)[0, 7].sum(), motion_z)
    assert grad[0].abs().sum(dim=1).nonzero().flatten().tolist() == list(range(7, 8 + motion.reach))


def test_segments_keep_the_times_own_number_type() -> None:
    segments = locate(torch.tensor([[1_000_000_007]]), 16)
    assert segments.index.item() == 62_500_000
    assert segments.t_left.item() == 1_000_000_000
    assert segments.weight.item() == pytest.approx(7 / 16)


def test_labels_reach_the_motion() -> None:
    motion, t = encoder(c_dim=2), torch.tensor([[3.0, 20.0]])
    motion_z = torch.randn(1, motion.num_codes(t), 6)
    one, other = (motion(t, torch.eye(2)[[i]], motion_z) for i in (0, 1))
    assert not torch.allclose(one, other)


def test_autocast_leaves_phases_in_float32() -> None:
    motion, t = encoder(), torch.tensor([[100.5, 120.25]])
    motion_z = torch.randn(1, motion.num_codes(t), 6)
    plain = motion(t, None, motion_z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(motion(t, None, motion_z), plain)


def test_the_lstm_interpolates_between_whole_codes() -> None:
    motion = LSTMMotion(4, 5, max_num_frames=16)
    t = torch.tensor([[3.0, 3.5, 4.0]])
    motion_z = torch.randn(1, motion.num_codes(t), 4)
    codes, _ = motion.rnn(motion_z)
    expected = motion.mapping(torch.stack([codes[0, 3], (codes[0, 3] + codes[0, 4]) / 2, codes[0, 4]]), None)
    torch.testing.assert_close(motion(t, None, motion_z)[0], expected)
    with pytest.raises(ValueError, match="start at code 0"):
        motion(t, None, motion_z, first_code=1)
