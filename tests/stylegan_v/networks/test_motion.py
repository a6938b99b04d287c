"""The motion encoder's promises: continuity, knots, locality, windows, the encoding it is given; the LSTM baseline."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.checkpoints import build
from stylegan_v.config_nodes import instantiate
from stylegan_v.networks import AcyclicEncoding, LSTMMotion, Motion, MotionEncoder, SmoothEncoding

SIZES = {"v_dim": 8, "num_frequencies": 5}


def encoder(**settings: object) -> MotionEncoder:
    return MotionEncoder(6, 8, num_frequencies=5, kernel_size=3, max_num_frames=128, **settings)


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


def test_labels_reach_the_motion() -> None:
    motion, t = encoder(c_dim=2), torch.tensor([[3.0, 20.0]])
    motion_z = torch.randn(1, motion.num_codes(t), 6)
    one, other = (motion(t, torch.eye(2)[[i]], motion_z) for i in (0, 1))
    assert not torch.allclose(one, other)


def test_the_encoding_of_the_original_is_the_one_that_is_built_without_being_named() -> None:
    torch.manual_seed(3)
    named = encoder(encoding=AcyclicEncoding(**SIZES))
    plain = encoder()
    assert type(plain.time_encoder) is AcyclicEncoding
    names = ["conv.0.weight", "conv.0.bias", "conv.1.weight", "conv.1.bias", "time_encoder.freqs"]
    predictors = [f"time_encoder.{kind}_predictor.weight" for kind in ("periods", "phase", "aligners")]
    assert list(plain.state_dict()) == list(named.state_dict()) == [*names, "time_encoder.phase_scales", *predictors]
    smooth = encoder(encoding=SmoothEncoding(**SIZES))
    assert list(smooth.state_dict()) == [*names, *predictors] and smooth.out_dim == plain.out_dim
    plain.load_state_dict(named.state_dict())
    t, motion_z = torch.tensor([[3.0, 20.0]]), torch.randn(1, 40, 6)
    assert torch.equal(plain(t, None, motion_z), named(t, None, motion_z))


def test_an_encoding_is_named_in_a_config_and_built_alike_for_training_and_from_a_checkpoint() -> None:
    node = {"class_path": "stylegan_v.networks.SmoothEncoding", "init_args": SIZES}
    sizes = {"z_dim": 6, **SIZES, "kernel_size": 3}
    node = {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": {**sizes, "encoding": node}}
    for built in (build(node), instantiate(node, Motion, "motion")):
        assert type(built.time_encoder) is SmoothEncoding and built.time_encoder.v_dim == 8


@pytest.mark.parametrize("other", [{"v_dim": 9}, {"num_frequencies": 4}, {"min_period": 256}, {"max_period": 2048.0}])
def test_an_encoding_of_other_sizes_is_refused(other: dict[str, float]) -> None:
    ((name, size),) = other.items()
    with pytest.raises(ValueError, match=rf"{name} of motion, .*, and of its encoding, {size}, must agree"):
        encoder(encoding=SmoothEncoding(**{**SIZES, **other}))


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


def test_the_path_of_a_recurrence_is_what_its_whole_noise_gives() -> None:
    motion, labels = LSTMMotion(4, 5, c_dim=2, max_num_frames=16), torch.eye(2)
    noise = torch.randn(2, 60, 4)
    t = torch.tensor([30.5, 2.0, 7.25], dtype=torch.float64)
    path = motion.path(lambda first, num: noise[:, first : first + num], labels)
    expected = motion(t.expand(2, -1), labels, noise)
    torch.testing.assert_close(path(t), expected)
    torch.testing.assert_close(path(t[1:]), expected[:, 1:])
