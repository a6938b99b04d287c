from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.exporting.tracing import trace
from stylegan_v.losses import path_length_penalty
from stylegan_v.networks import Generator, LSTMMotion, MotionEncoder, Motionless, SmoothEncoding, TemporalModulation
from stylegan_v.networks.folding import FoldedSynthesis, can_fold
from stylegan_v.rendering import draw_latents, render_float
from stylegan_v.sampling.blending import Journey, travel
from stylegan_v.sampling.looping import looped
from tests.stylegan_v import tiny_gan

HORIZON = 32
DISTANCE = 8


def motion(**settings: Any) -> MotionEncoder:
    sizes = {"z_dim": 6, "v_dim": 8, "num_frequencies": 8, "distance": DISTANCE, "kernel_size": 3}
    return MotionEncoder(**{**sizes, "min_period": 4, "max_period": 256, "max_num_frames": HORIZON, **settings})


def generator(modulated: bool = True, stirred: bool = True, **settings: Any) -> Generator:
    torch.manual_seed(0)
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}
    modulation = TemporalModulation(8, 8, num_knots=4, rank=3) if modulated else None
    made = Generator(16, **{"motion": motion(), **sizes, "temporal_modulation": modulation, **settings}).eval()
    if modulated and stirred:
        torch.nn.init.normal_(modulation.head.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return made


def pair(stirred: bool = True, **settings: Any) -> tuple[Generator, Generator]:
    """A generator that is modulated, and the same one without modulation."""
    on, off = generator(True, stirred, **settings), generator(False, **{**settings, "temporal_modulation": None})
    left = on.load_state_dict(off.state_dict(), strict=False)
    assert {name.split(".")[1] for name in left.missing_keys} == {"temporal_modulation", "modulation_bases"}
    return on, off


def draw(network: Generator, t: Tensor, **options: Any) -> Tensor:
    random = torch.Generator().manual_seed(3)
    z, motion_z = (torch.randn(*shape, generator=random) for shape in ((2, 8), (2, 200, 6)))
    return network(z, t.expand(2, -1), None, motion_z, **options)


def values_at(network: Generator, t: Tensor) -> Tensor:
    """What scales and shifts are made of, at times of two endless videos [2, T, 2 R]."""
    synthesis, latents = network.synthesis, draw_latents(network, 0, range(2))
    motion_v = synthesis.motion.path(latents.motion.window)(t)
    with torch.no_grad():
        values = synthesis.temporal_modulation(latents.ws[:, 0], motion_v[..., synthesis.motion.out_dim :])
    return values.unflatten(0, (2, -1))


# Without effect at first


SETTINGS: list[dict[str, Any]] = [
    {},
    {"noise_inputs": True},
    {"conv_clamp": None},
    {"time_conditioning": "concat_w"},
    {"time_conditioning": "sum_w", "w_dim": 16, "temporal_modulation": TemporalModulation(16, 8, 4, 3)},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_it_starts_without_any_effect(settings: dict[str, Any]) -> None:
    on, off = pair(stirred=False, **copy.deepcopy(settings))
    t = torch.tensor([0.0, 3.25, 8.0, 31.0])
    with torch.no_grad():
        assert torch.equal(draw(on, t), draw(off, t))


def test_it_has_an_effect_once_its_head_is_not_zero() -> None:
    t, (on, off) = torch.tensor([0.0, 3.25, 8.0, 31.0]), pair()
    with torch.no_grad():
        difference = (draw(on, t) - draw(off, t)).abs().mean(dim=(2, 3, 4))
    assert (difference > 1e-2).all()


def test_a_gradient_reaches_it_at_the_very_first_step() -> None:
    network = generator(stirred=False).train()
    draw(network, torch.tensor([0.0, 3.25, 8.0])).square().sum().backward()
    head = network.synthesis.temporal_modulation.head
    assert head.weight.grad.abs().max() > 1e-3 and head.bias.grad.abs().max() > 1e-3
    assert all(not basis.grad.any() for basis in network.synthesis.modulation_bases.parameters())


# The grids


def test_values_are_linear_between_knots_that_mix_the_grids_of_two_codes() -> None:
    modulation, random = TemporalModulation(5, 7, num_knots=4, rank=3), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(modulation.head.weight, generator=random)
    w, left, right = (torch.randn(1, n, generator=random) for n in (5, 7, 7))
    first, second = (modulation.grids(w, code[None])[0, 0] for code in (left, right))
    for share in (0.0, 0.1, 0.25, 0.6, 0.99, 1.0):
        below = min(int(share * 4), 3)
        knots = [(1 - k / 4) * first[k % 4] + k / 4 * second[k % 4] for k in (below, below + 1)]
        expected = torch.lerp(*knots, share * 4 - below)
        segment = torch.cat([torch.full((1, 1), share), left, right], dim=1)
        torch.testing.assert_close(modulation(w, segment[None])[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("code", [1, 5, 1000])
def test_segments_meet_at_their_codes(code: int) -> None:
    border = code * DISTANCE
    before, at, later = values_at(generator(), border + torch.tensor([-1e-5, 0.0, 1.0], dtype=torch.float64)).unbind(1)
    torch.testing.assert_close(before, at, rtol=0, atol=1e-4)
    assert (later - at).abs().mean() > 1e-2


@pytest.mark.parametrize("start", [0, 10 * HORIZON, 10**7])
def test_it_moves_at_any_time_and_does_not_repeat(start: int) -> None:
    t = start + torch.arange(0, 10 * DISTANCE, 2, dtype=torch.float64)
    found = values_at(generator(), t)
    assert found.diff(dim=1).abs().mean(dim=(0, 2)).min() > 1e-2  # never still
    segments = found.unflatten(1, (10, -1))
    assert (segments[:, 1:] - segments[:, :-1]).abs().mean(dim=(0, 2, 3)).min() > 1e-2
    assert (found[0] - found[1]).abs().mean() > 1e-2  # nor the same in another video


def test_a_video_ten_times_longer_than_the_horizon_varies_because_of_it() -> None:
    t = 10 * HORIZON + torch.arange(0, 24, 4, dtype=torch.float64)
    on, off = (float_video(one, t) for one in pair())
    assert (on - off).std(dim=1).mean() > 1e-2


# Windows of time


def float_video(network: Generator, t: Tensor, chunk: int = 16) -> Tensor:
    return torch.cat(list(render_float(network, draw_latents(network, 0, (3, 7)), t, chunk=chunk)), dim=1)


@pytest.mark.parametrize("encoding", [None, SmoothEncoding(8, 8, 4, 256)])
@pytest.mark.parametrize("start", [0.0, 1e7])
def test_frames_do_not_depend_on_the_window_that_is_asked_for(start: float, encoding: SmoothEncoding | None) -> None:
    network = generator(motion=motion(encoding=encoding))
    t = start + torch.arange(0, 33, 2.75, dtype=torch.float64)
    whole = float_video(network, t, chunk=1000)
    for chunk in (1, 5):
        torch.testing.assert_close(float_video(network, t, chunk), whole, atol=1e-5, rtol=0)
    for part in (slice(8, 9), slice(5, 11)):
        torch.testing.assert_close(float_video(network, t[part]), whole[:, part], atol=1e-5, rtol=0)


def test_sampling_draws_what_training_sees() -> None:
    network, t = generator(), torch.tensor([0.0, 3.5, 8.0, 17.25], dtype=torch.float64)
    latents = draw_latents(network, 0, (3, 7))
    with torch.no_grad():
        clip = network.synthesis(latents.ws, t.expand(2, -1), None, latents.motion.window(0, 20))
    torch.testing.assert_close(clip, float_video(network, t), atol=1e-4, rtol=0)


def test_a_loop_closes() -> None:
    network = looped(generator(), 20.0)
    found = values_at(network, torch.tensor([0.0, 20.0, 20.0 - 1e-5, 7.0], dtype=torch.float64))
    assert torch.equal(found[:, 0], found[:, 1])
    torch.testing.assert_close(found[:, 2], found[:, 0], rtol=0, atol=1e-4)
    assert (found[:, 3] - found[:, 0]).abs().mean() > 1e-2


def test_a_journey_begins_with_its_first_key_video() -> None:
    network = generator()
    keys = draw_latents(network, 0, (3, 7))
    journey = Journey(2, start=0.0, span=1e6)
    t = torch.arange(0, 16, 4, dtype=torch.float64)
    (frames,) = travel(network, keys, journey, "both")(t, 16)
    first = float_video(network, t)[:1]
    assert ((frames.float() - (127.5 * first + 128).clamp(0, 255).floor()).abs() <= 2).all()


# Training


def test_gradients_of_gradients() -> None:
    modulation = TemporalModulation(3, 2, num_knots=3, rank=2).double()
    weight = torch.randn_like(modulation.head.weight, requires_grad=True)
    w = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    share = torch.tensor([[[0.1], [0.5]], [[0.8], [0.0]]], dtype=torch.float64)
    codes = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)

    def values(weight: Tensor, w: Tensor, codes: Tensor) -> Tensor:
        segments = torch.cat([share, codes], dim=2)
        return torch.func.functional_call(modulation, {"head.weight": weight}, (w, segments)).sin()

    assert torch.autograd.gradcheck(values, (weight, w, codes))
    assert torch.autograd.gradgradcheck(values, (weight, w, codes))


def test_path_lengths_reach_it() -> None:
    network = generator().train()
    ws = torch.randn(2, network.num_ws, 8, requires_grad=True)
    clip = network.synthesis(ws, torch.tensor([[0.0, 3.5], [8.0, 9.0]]), None, torch.randn(2, 20, 6))
    penalty, *_ = path_length_penalty(clip, ws, torch.randn_like(clip), torch.zeros(()))
    penalty.backward()
    head = network.synthesis.temporal_modulation.head.weight.grad
    assert head.isfinite().all() and head.abs().max() > 0


def test_grids_are_float32_under_autocast() -> None:
    network = generator()
    synthesis, motion_v = network.synthesis, torch.rand(2, 3, 1 + 2 * 8)
    w = torch.randn(2, 8)
    expected = synthesis.temporal_modulation(w, motion_v)
    (basis, *_) = synthesis.modulation_bases["b8"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = synthesis.temporal_modulation(w.bfloat16().float(), motion_v)
        gamma, beta = basis(expected)
    assert found.dtype == gamma.dtype == beta.dtype == torch.float32
    assert torch.equal(found, synthesis.temporal_modulation(w.bfloat16().float(), motion_v))
    assert torch.equal(gamma, basis(expected)[0])


def test_it_trains_and_the_averaged_generator_follows(tmp_path: Any) -> None:
    settings = {"channel_base": 128, "channel_max": 8, "conv_clamp": None}
    network = generator(stirred=False, **settings).train()
    gan = tiny_gan.gan(generator=network, pl_weight=2.0)
    tiny_gan.trainer(tmp_path, tiny_gan.StopAfter(3)).fit(gan, tiny_gan.data())
    assert gan.updates == 3
    heads = [one.synthesis.temporal_modulation.head.weight for one in (gan.generator, gan.generator_ema)]
    assert all(head.isfinite().all() and head.abs().max() > 0 for head in heads)
    assert not torch.equal(*heads)


# What it cannot do


@pytest.mark.parametrize("kind", [LSTMMotion, Motionless])
def test_motion_without_codes_is_refused(kind: type) -> None:
    still = Motionless() if kind is Motionless else LSTMMotion(6, 8)
    with pytest.raises(InputError, match=f"{kind.__name__} has no motion codes"):
        generator(motion=still)


@pytest.mark.parametrize("sizes, name", [((7, 8), "w_dim 7, that of the generator is 8"), ((8, 9), "v_dim 9")])
def test_other_sizes_are_refused(sizes: tuple[int, int], name: str) -> None:
    with pytest.raises(InputError, match=name):
        generator(temporal_modulation=TemporalModulation(*sizes))
    with pytest.raises(InputError, match="0 knots"):
        TemporalModulation(8, 8, num_knots=0)


def test_it_is_neither_folded_nor_exported() -> None:
    network = generator()
    assert not can_fold(network.synthesis)
    with pytest.raises(ValueError, match="temporal_modulation gives every frame kernels of its own"):
        FoldedSynthesis(network.synthesis, torch.zeros(network.num_ws, 8))
    with pytest.raises(InputError, match="its temporal_modulation cannot be exported"):
        trace(network)
