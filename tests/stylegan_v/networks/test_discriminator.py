"""What the discriminator sees of frames, times and labels, under both conditionings."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.networks import Discriminator, HypernetworkConditioning, ProjectionConditioning
from stylegan_v.networks.conditioning import Conditioning

BOTH = pytest.mark.parametrize("kind", [HypernetworkConditioning, ProjectionConditioning])


def discriminator(
    kind: type[Conditioning], num_frames: int = 3, c_dim: int = 0, views: bool = False, **settings: object
) -> Discriminator:
    settings = {"channel_base": 128, "channel_max": 8, "concat_res": 8, **settings}
    conditioning = kind(num_frames, c_dim, dim=8, max_num_frames=64, views=views)
    return Discriminator(settings.pop("resolution", 16), conditioning=conditioning, **settings)


def clip(num_frames: int = 3, batch: int = 4, resolution: tuple[int, int] = (16, 16)) -> torch.Tensor:
    return torch.randn(batch, num_frames, 3, *resolution)


def times(num_frames: int = 3, batch: int = 4) -> torch.Tensor:
    return torch.arange(num_frames).repeat(batch, 1) * 2.0


@BOTH
@pytest.mark.parametrize("c_dim", [0, 2])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 16])
def test_one_logit_per_clip_for_any_number_of_frames(kind: type[Conditioning], num_frames: int, c_dim: int) -> None:
    network = discriminator(kind, num_frames, c_dim)
    logits = network(clip(num_frames), times(num_frames), torch.eye(2)[[0, 1, 0, 1]] if c_dim else None)
    assert logits.shape == (4,)
    logits.sum().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert unused == []


@BOTH
def test_only_differences_of_times_matter(kind: type[Conditioning]) -> None:
    network, frames, t = discriminator(kind), clip(), times()
    torch.testing.assert_close(network(frames, t), network(frames, t + 100))
    stretched = t * torch.tensor([1.0, 1.0, 3.0])
    assert (network(frames, stretched) - network(frames, t)).abs().max() > 1e-4


@BOTH
def test_labels_matter(kind: type[Conditioning]) -> None:
    network, frames = discriminator(kind, c_dim=2), clip()
    one, other = (network(frames, times(), torch.eye(2)[[i] * 4]) for i in (0, 1))
    assert (one - other).abs().max() > 1e-4
    with pytest.raises(ValueError, match="pass c"):
        network(frames, times())


@BOTH
def test_the_order_of_frames_matters(kind: type[Conditioning]) -> None:
    network, frames = discriminator(kind), clip()
    assert (network(frames, times()) - network(frames.flip(1), times())).abs().max() > 1e-4


@BOTH
def test_a_batch_dealt_out_round_robin_keeps_its_logits(kind: type[Conditioning]) -> None:
    """Groups of the minibatch statistic are every so many-th clip, so two processes see what one would."""
    network, frames, t = discriminator(kind, mbstd_group_size=2), clip(batch=8), times(batch=8)
    whole = network(frames, t)
    for rank in range(2):
        torch.testing.assert_close(network(frames[rank::2], t[rank::2]), whole[rank::2], rtol=1e-4, atol=1e-5)


def test_the_hypernetwork_styles_the_first_convolution_of_every_block() -> None:
    network = discriminator(HypernetworkConditioning)
    for block in network.blocks.values():
        hidden = torch.randn(2, 4, 8)
        x = torch.randn(4 * 3, block.skip.weight.shape[1], 8, 8)
        one, other = (block.conv0(x, h) for h in hidden)
        assert (one - other).abs().max() > 1e-3
    plain = discriminator(ProjectionConditioning).blocks["b16"].conv0
    assert torch.equal(plain(x[:, :8], hidden[0]), plain(x[:, :8], hidden[1]))


def test_distances_beyond_the_table_take_its_last_row() -> None:
    encoder = HypernetworkConditioning(2, max_num_frames=16).time_encoder
    at_end, beyond = (encoder(torch.tensor([[0.0, last]])) for last in (15.0, 400.0))
    assert torch.equal(at_end[:, :256], beyond[:, :256])
    assert not torch.equal(at_end[:, 256:], beyond[:, 256:])


def test_equal_spacing_encodes_one_difference() -> None:
    one, two = ProjectionConditioning(4, uniform_spacing=True).time_encoder, ProjectionConditioning(2).time_encoder
    two.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(torch.tensor([[1.0, 3.0, 5.0, 7.0]])), two(torch.tensor([[0.0, 2.0]])))


def test_an_ignored_condition_is_zero() -> None:
    conditioning = ProjectionConditioning(3, dim=8, ignored=True)
    assert torch.equal(conditioning(times()), conditioning(times() * 5))


@BOTH
@pytest.mark.parametrize("resolution", [(20, 36), (18, 30)])
def test_frames_of_any_size(kind: type[Conditioning], resolution: tuple[int, int]) -> None:
    network = discriminator(kind, resolution=resolution)
    assert network(clip(resolution=resolution), times()).shape == (4,)


def test_frames_can_be_joined_at_the_base() -> None:
    network = discriminator(ProjectionConditioning, concat_res=4)
    assert network(clip(), times()).shape == (4,)
    assert network.epilogue.conv.weight.shape[1] == 3 * 4 + 1


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match=r"concat_res 16: .* joined at \[8, 4\]"):
        discriminator(ProjectionConditioning, concat_res=16)
    with pytest.raises(ValueError, match="1 to 16 frames"):
        ProjectionConditioning(17)
    with pytest.raises(ValueError, match="clips of 3 frames, not 2"):
        discriminator(ProjectionConditioning)(clip(2), times(2))


@BOTH
def test_frozen_layers_are_buffers_of_the_same_names(kind: type[Conditioning]) -> None:
    network = discriminator(kind)
    state, names = network.state_dict(), [name for name, _ in network.named_parameters()]
    frames = clip()
    before = network(frames, times())
    network.freeze_layers(3)
    assert network.state_dict().keys() == state.keys()
    frozen = set(names) - {name for name, _ in network.named_parameters()}
    assert {".".join(name.split(".")[:3]).removesuffix(".weight").removesuffix(".bias") for name in frozen} == {
        "fromrgb",
        "blocks.b16.conv0",
        "blocks.b16.conv1",
    }
    torch.testing.assert_close(network(frames, times()), before)
    for count in (-1, 99):
        with pytest.raises(ValueError, match=f"freeze_d {count}: .* 0 to 7 layers"):
            network.freeze_layers(count)


def test_the_epilogue_stays_in_float32_under_autocast() -> None:
    network = discriminator(HypernetworkConditioning)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(clip(), times()).dtype == torch.float32


@pytest.mark.parametrize("kind", [HypernetworkConditioning, ProjectionConditioning])
def test_views_have_no_effect_at_first_and_one_later(kind: type[Conditioning]) -> None:
    plain, told = discriminator(kind), discriminator(kind, views=True)
    told.load_state_dict(plain.state_dict(), strict=False)
    frames, t, view = clip(), times(), torch.randn(len(times()), 3)
    assert torch.equal(told(frames, t, None, view), plain(frames, t))
    told(frames, t, None, view).square().sum().backward()
    assert told.conditioning.view_encoder.out.weight.grad.abs().sum() > 0
    torch.nn.init.normal_(told.conditioning.view_encoder.out.weight)
    native = told(frames, t, None, torch.zeros_like(view))
    assert torch.equal(told(frames, t), native), "without a view it is the native one"
    assert not torch.isclose(told(frames, t, None, view), native).any()


def test_views_that_nobody_looks_at_are_refused() -> None:
    with pytest.raises(ValueError, match="not told of views"):
        discriminator(HypernetworkConditioning)(clip(), times(), None, torch.zeros(len(times()), 3))
    with pytest.raises(ValueError, match="views: a projection"):
        ProjectionConditioning(num_frames=1, views=True)
