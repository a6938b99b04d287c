from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan_v.networks import Discriminator, HypernetworkConditioning, ProjectionConditioning
from stylegan_v.networks.conditioning import Conditioning
from stylegan_v.ops.resample import downsample2d
from tests.stylegan_v.transfer.small_networks import discriminator, filled, outcomes, without_gradient

KINDS = (HypernetworkConditioning, ProjectionConditioning)
TIMES = torch.tensor([[0, 3, 9], [0, 1, 2], [5, 12, 30], [0, 20, 21]])


def halved(clip: Tensor, times: int = 1) -> Tensor:
    for _ in range(times):
        clip = downsample2d(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
    return clip


@pytest.mark.parametrize("doublings", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_of_a_clip_what_the_old_one_says_of_its_half(kind: type[Conditioning], doublings: int) -> None:
    old, new = discriminator(kind), discriminator(kind, resolution=16 * 2**doublings, seed=1, channel_base=512)
    filled(new, old)
    clip = torch.randn(4, 3, 3, *new.resolution)
    expected = old(halved(clip, doublings), TIMES)
    assert expected.std() > 1e-3
    torch.testing.assert_close(new(clip, TIMES), expected, rtol=1e-4, atol=1e-5)


def test_it_does_so_on_frames_that_are_not_square() -> None:
    old, new = discriminator(resolution=(20, 32)), discriminator(resolution=(40, 64), seed=1, channel_base=512)
    filled(new, old)
    clip = torch.randn(4, 3, 3, 40, 64)
    torch.testing.assert_close(new(clip, TIMES), old(halved(clip), TIMES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_in_the_new_block_can_learn(kind: type[Conditioning]) -> None:
    new = discriminator(kind, resolution=32, seed=1)
    filled(new, discriminator(kind))
    clip = torch.randn(4, 3, 3, 32, 32)
    stuck = without_gradient(new, new(clip, TIMES))
    assert stuck == set()
    for name in ("conv1", "skip"):
        grad = getattr(new.blocks["b32"], name).weight.grad
        assert grad.flatten(2).abs().amax(dim=(0, 2)).gt(0).all()  # from every channel, random ones too


def test_it_works_together_with_more_frames_and_another_conditioning() -> None:
    old = discriminator(ProjectionConditioning, 1)
    new = discriminator(HypernetworkConditioning, 3, resolution=32, seed=1)
    filled(new, old)
    image = torch.randn(4, 1, 3, 32, 32)
    expected = old(halved(image), torch.zeros(4, 1))
    torch.testing.assert_close(new(image.repeat(1, 3, 1, 1, 1), TIMES), expected, rtol=1e-4, atol=1e-5)


def test_with_too_few_channels_the_block_starts_anew() -> None:
    old: Discriminator = discriminator(channel_base=128)
    new = discriminator(resolution=32, seed=1, channel_base=128)  # four channels at 32 pixels
    before = {name: value.clone() for name, value in new.state_dict().items()}
    found = outcomes(filled(new, old))
    changed = [name for name, value in new.state_dict().items() if not torch.equal(value, before[name])]
    assert found["fromrgb.weight"] == found["blocks.b32.conv1.weight"] == "new"
    assert not any(name.startswith(("fromrgb", "blocks.b32")) for name in changed)
    assert found["blocks.b16.conv0.weight"] == "taken"
