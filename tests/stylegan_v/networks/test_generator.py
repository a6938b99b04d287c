"""What a generator of continuous video promises, at toy width."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.networks import Generator, LSTMMotion, MotionEncoder
from stylegan_v.noise import AddressedRandom


def generator(resolution: int | tuple[int, int] = 16, **settings: object) -> Generator:
    c_dim = settings.get("c_dim", 0)
    settings.setdefault("motion", MotionEncoder(6, 8, c_dim, num_frequencies=5, kernel_size=3, max_num_frames=64))
    return Generator(resolution, z_dim=7, w_dim=10, channel_base=128, channel_max=8, **settings).eval()


def inputs(network: Generator, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(len(t), 7), torch.randn(len(t), network.synthesis.motion.num_codes(t), 6)


def test_a_frame_does_not_depend_on_the_others() -> None:
    network = generator()
    t = torch.tensor([[1.0, 7.5, 40.0], [2.0, 3.0, 60.0]])
    z, motion_z = inputs(network, t)
    clip = network(z, t, None, motion_z)
    assert clip.shape == (2, 3, 3, 16, 16)
    alone = network(z[1:], t[1:, [2]], None, motion_z[1:])
    torch.testing.assert_close(alone[0, 0], clip[1, 2], rtol=1e-4, atol=1e-5)
    turned = network(z, t.flip(1), None, motion_z)
    torch.testing.assert_close(turned.flip(1), clip, rtol=1e-4, atol=1e-5)


def test_a_window_of_motion_noise_gives_the_same_frames() -> None:
    network, t = generator(), torch.tensor([[33.0, 34.0]])
    z, motion_z = inputs(network, t)
    first, count = network.synthesis.motion.window(t)
    start = int(first)
    part = network(z, t, None, motion_z[:, start : start + count], first_code=start)
    torch.testing.assert_close(part, network(z, t, None, motion_z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("resolution", [(20, 36), (16, 24), (33, 17)])
def test_frames_of_any_size(resolution: tuple[int, int]) -> None:
    network, t = generator(resolution), torch.zeros(1, 2)
    assert network(torch.randn(1, 7), t).shape == (1, 2, 3, *resolution)


def test_an_off_size_frame_is_the_middle_of_the_working_size() -> None:
    small, large = generator((18, 30)), generator((20, 32))
    assert [level.name for level in small.synthesis.levels] == [level.name for level in large.synthesis.levels]
    large.load_state_dict(small.state_dict())
    t = torch.tensor([[0.0, 5.0]])
    z, motion_z = inputs(small, t)
    torch.testing.assert_close(small(z, t, None, motion_z), large(z, t, None, motion_z)[..., 1:19, 1:31])


@pytest.mark.parametrize("time_conditioning", ["concat_const", "concat_w", "sum_w"])
def test_time_moves_the_frame_wherever_it_enters(time_conditioning: str) -> None:
    network, t = generator(time_conditioning=time_conditioning), torch.tensor([[0.0, 9.0]])
    z, motion_z = inputs(network, t)
    first, second = network(z, t, None, motion_z)[0]
    assert (first - second).abs().max() > 1e-3


def test_the_baseline_of_lstm_motion_can_be_built_and_differentiated() -> None:
    network = generator(motion=LSTMMotion(6, 8, max_num_frames=16), time_conditioning="concat_w")
    t = torch.tensor([[0.0, 4.0]])
    network(torch.randn(1, 7), t).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_noise_inputs_are_random_in_training_constant_otherwise_and_addressable() -> None:
    network, t = generator(noise_inputs=True), torch.tensor([[0.0, 4.0]])
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    z, motion_z = inputs(network, t)
    assert torch.equal(network(z, t, None, motion_z), network(z, t, None, motion_z))
    assert not torch.equal(network(z, t, None, motion_z, noise_mode="none"), network(z, t, None, motion_z))
    network.train()
    assert not torch.equal(network(z, t, None, motion_z), network(z, t, None, motion_z))
    one, same = (network(z, t, None, motion_z, random=AddressedRandom(0, 1, "g", torch.tensor([3]))) for _ in range(2))
    assert torch.equal(one, same)


def test_labels_of_generator_and_motion_must_agree() -> None:
    with pytest.raises(ValueError, match="c_dim 2 and motion c_dim 0"):
        Generator(16, c_dim=2, motion=MotionEncoder(6, 8))


def test_every_parameter_has_a_gradient() -> None:
    network, t = generator(c_dim=2, noise_inputs=True).train(), torch.tensor([[0.0, 17.0, 30.0]])
    network(torch.randn(1, 7), t, torch.tensor([[0.0, 1.0]])).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bfloat16_autocast_stays_near_float32() -> None:
    network, t = generator(), torch.tensor([[0.0, 17.0]])
    z, motion_z = inputs(network, t)
    plain = network(z, t, None, motion_z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(z, t, None, motion_z)
    assert rounded.dtype == torch.float32
    assert (rounded - plain).abs().max() < 0.05 * plain.abs().max()
