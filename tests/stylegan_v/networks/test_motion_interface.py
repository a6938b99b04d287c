"""An image generator is a video generator without motion: the same frame at any time, nothing to learn about time."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.checkpoints import build
from stylegan_v.networks import Generator, Motionless
from stylegan_v.networks.synthesis import TimeConditioning


def image_generator(resolution: int | tuple[int, int] = 16, **settings: object) -> Generator:
    torch.manual_seed(0)
    network = Generator(resolution, z_dim=7, w_dim=10, motion=Motionless(), channel_base=128, channel_max=8, **settings)
    return network.eval()


def test_it_has_neither_parameters_nor_values() -> None:
    motion = Motionless()
    assert motion.state_dict() == {}
    assert motion(torch.tensor([[0, 3, 9]])).shape == (1, 3, 0)
    assert motion(torch.zeros(2, 5, dtype=torch.float64), torch.zeros(2, 4), torch.zeros(2, 9, 6)).shape == (2, 5, 0)


def test_frames_do_not_depend_on_time() -> None:
    network, z = image_generator(), torch.randn(2, 7)
    clip = network(z, torch.tensor([[0.0, 3.25, 1e6], [5.0, 5.0, 7.0]]))
    assert clip.shape == (2, 3, 3, 16, 16)
    torch.testing.assert_close(clip, clip[:, :1].expand_as(clip), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(network(z, torch.zeros(2, 1)), clip[:, :1], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(clip[0, 0], clip[1, 0], atol=1e-2)


def test_the_constant_gains_no_channels_and_every_parameter_learns() -> None:
    network = image_generator(c_dim=2).train()
    assert network.synthesis.blocks["b4"].convs[0].weight.shape[1] == network.synthesis.const.shape[1]
    network(torch.randn(2, 7), torch.zeros(2, 1), torch.eye(2)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("resolution", [(20, 36), (33, 17)])
def test_images_of_any_size_and_under_autocast(resolution: tuple[int, int]) -> None:
    network = image_generator(resolution)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = network(torch.randn(1, 7), torch.zeros(1, 1))
    assert image.shape == (1, 1, 3, *resolution) and image.dtype == torch.float32


@pytest.mark.parametrize("time_conditioning", ["concat_const", "concat_w"])
def test_wherever_time_would_enter_nothing_does(time_conditioning: TimeConditioning) -> None:
    network = image_generator(time_conditioning=time_conditioning)
    assert network.synthesis.blocks["b8"].convs[0].affine.weight.shape[1] == network.w_dim
    first, later = network(torch.randn(1, 7), torch.tensor([[0.0, 50.0]]))[0]
    torch.testing.assert_close(later, first)


def test_an_embedding_that_is_added_must_have_values() -> None:
    with pytest.raises(ValueError, match="sum_w needs an embedding of w_dim 10, motion gives 0"):
        image_generator(time_conditioning="sum_w")


def test_it_is_built_from_the_config_of_a_checkpoint() -> None:
    motion = {"class_path": "stylegan_v.networks.Motionless"}
    sizes = {"resolution": 16, "z_dim": 7, "w_dim": 10, "channel_base": 128, "channel_max": 8}
    built = build({"class_path": "stylegan_v.networks.Generator", "init_args": {**sizes, "motion": motion}})
    built.load_state_dict(image_generator().state_dict())
    z, t = torch.randn(1, 7), torch.zeros(1, 1)
    assert torch.equal(built.eval()(z, t), image_generator()(z, t))
