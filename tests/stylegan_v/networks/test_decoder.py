from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.losses import path_length_penalty
from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import Canvas, DecoderInputs
from stylegan_v.networks.decoders import latent_layer, nvp_field
from stylegan_v.networks.decoders.gathering import Between, between
from stylegan_v.networks.view import View
from stylegan_v.ops.bicubic import resample, taps
from tests.stylegan_v.networks.decoded import KINDS, draw, generator

SIZES = [(33, 41), (16, 16), (9, 11), (40, 7)]
SHIFTS = [(0.0, 0.0), (0.3, -0.6), (0.5, 0.5), (0.0, 0.25)]


@torch.no_grad()
def canvas(network: Generator) -> Canvas:
    """What its decoder looks at, of two frames of a video."""
    ws = torch.randn(1, network.num_ws, 8, generator=torch.Generator().manual_seed(0))
    motion_v = torch.randn(1, 2, network.synthesis.motion.out_dim, generator=torch.Generator().manual_seed(1))
    return network.synthesis.draw(ws, motion_v)


@torch.no_grad()
def look(drawn: Canvas, *view: Any) -> Tensor:
    return drawn.look(View.of(drawn.decoder.inputs.resolution, *view))


# The generator without it


def test_without_a_decoder_there_is_nothing_of_it() -> None:
    torch.manual_seed(0)
    plain, after = generator(None), torch.rand(1)
    assert plain.decoder is None and not any("decoder" in name for name in plain.state_dict())
    decoded = generator("conv", stirred=False)
    shared = {name: value for name, value in decoded.state_dict().items() if "decoder" not in name}
    assert shared.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in shared.items())
    generator(None)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("given", [{"size": (20, 20)}, {"window": (0, 0, 8, 8)}, {"shift": (0.5, 0.0)}])
def test_without_a_decoder_other_views_are_refused(given: dict) -> None:
    with pytest.raises(InputError, match="no decoder"):
        draw(generator(None), **given)
    assert draw(generator(None), size=(16, 16), window=(0, 0, 16, 16)).shape == (2, 3, 3, 16, 16)


def test_a_network_without_a_resolution_below_takes_none() -> None:
    with pytest.raises(InputError, match="at least 8 pixels"):
        generator("conv", 4)


# A decoder that has learned nothing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resolution", [16, (36, 50)])
@pytest.mark.parametrize("time_conditioning", ["concat_const", "concat_w"])
def test_native_frames_are_those_without_it(kind: str, resolution: int | tuple, time_conditioning: str) -> None:
    settings = {"resolution": resolution, "time_conditioning": time_conditioning}
    with torch.no_grad():
        on, off = draw(generator(kind, stirred=False, **settings)), draw(generator(None, **settings))
    assert torch.equal(on, off)


@pytest.mark.parametrize("kind", KINDS)
def test_its_shift_is_exactly_that_of_the_cubic_kernel(kind: str) -> None:
    network = generator(kind, (36, 50), stirred=False)
    with torch.no_grad():
        native = draw(network)
        for shift in ((0.0, 0.25), (-0.7, 0.4), (1.0, -1.0)):
            shifted = draw(network, shift=shift)
            expected = native
            for axis, by in enumerate(shift):
                n = native.shape[3 + axis]
                expected = resample(expected, taps(torch.arange(n, dtype=torch.float64) + by, n), 3 + axis)
            assert torch.equal(shifted, expected)
    assert torch.equal(shifted[..., :-1, 1:], native[..., 1:, :-1])  # whole pixels


def test_twice_the_size_is_that_of_the_cubic_kernel() -> None:
    network = generator(stirred=False)
    with torch.no_grad():
        native, twice = draw(network), draw(network, size=(32, 32))
    weights = torch.tensor([-0.0234375, 0.2265625, 0.8671875, -0.0703125])  # three quarters of the way from 7 to 8
    expected = torch.einsum("btcyx, y, x -> btc", native[..., 6:10, 6:10], weights, weights)
    torch.testing.assert_close(twice[..., 16, 16], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_it_at_the_first_step(kind: str) -> None:
    network = generator(kind, stirred=False).train()
    draw(network, size=(24, 24)).square().sum().backward()
    last = [p for name, p in network.decoder.named_parameters() if "last" in name and name.endswith("weight")]
    assert len(last) == 1 and last[0].grad.abs().max() > 1e-3


# Views


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resolution", [16, (36, 50)])
@pytest.mark.parametrize("mode", ["residual", "replace_last_block"])
def test_a_window_is_the_crop_of_the_whole(kind: str, resolution: int | tuple, mode: str) -> None:
    drawn = canvas(generator(kind, resolution, mode))
    for (height, width), shift in zip(SIZES, SHIFTS, strict=True):
        whole = look(drawn, (height, width), None, shift)
        middle = (height // 3, width // 3, height // 3 + 2, width // 3 + 3)
        corners = [(0, 0, 1, 1), (height - 3, width - 4, height, width), (0, width - 1, height, width)]
        for y0, x0, y1, x1 in [middle, *corners]:
            part = look(drawn, (height, width), (y0, x0, y1, x1), shift)
            torch.testing.assert_close(part, whole[..., y0:y1, x0:x1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_video_may_have_its_own_view(kind: str) -> None:
    network = generator(kind)
    sizes, windows, shifts = [(20, 30), (9, 12)], [(3, 4, 11, 10), (1, 2, 9, 8)], [(0.0, 0.25), (0.5, 0.0)]
    with torch.no_grad():
        both = draw(network, size=sizes, window=windows, shift=shifts)
        for video in range(2):
            alone = draw(network, size=sizes[video], window=windows[video], shift=shifts[video])
            torch.testing.assert_close(both[video], alone[video], rtol=0, atol=1e-5)
    assert both.shape == (2, 3, 3, 8, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_do_not_depend_on_those_beside_them(kind: str) -> None:
    network = generator(kind)
    with torch.no_grad():
        together = draw(network, (0.0, 3.25, 9.0), size=(23, 19))
        alone = draw(network, (3.25,), size=(23, 19))
    torch.testing.assert_close(together[:, 1:2], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_below_native_size_frames_are_native_ones_reduced(kind: str) -> None:
    network = generator(kind)
    with torch.no_grad():
        native, small = draw(network), draw(network, size=(7, 16), window=(2, 1, 6, 13))
    rows = (torch.arange(2, 6, dtype=torch.float64) + 0.5) * 16 / 7 - 0.5
    torch.testing.assert_close(small, resample(native, taps(rows, 16, 16 / 7), 3)[..., 1:13], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_strips_are_the_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = generator(kind)
    with torch.no_grad():
        whole = draw(network, size=(50, 20))
        monkeypatch.setattr("stylegan_v.networks.decoder._CPU_BYTES", 1)
        monkeypatch.setattr("stylegan_v.networks.decoder._LEAST_ROWS", 7)
        torch.testing.assert_close(draw(network, size=(50, 20)), whole, rtol=0, atol=1e-5)


# Without the last block


def test_the_last_block_can_be_left_out() -> None:
    full, short = generator(), generator(mode="replace_last_block")
    assert list(full.synthesis.blocks) == ["b4", "b8", "b16"] and list(short.synthesis.blocks) == ["b4", "b8"]
    assert not any("b16" in name for name in short.state_dict()) and short.num_ws == full.num_ws
    with torch.no_grad():
        assert draw(short, size=(24, 24)).shape == (2, 3, 3, 24, 24)


# Precision


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_moves_no_place(kind: str) -> None:
    """Frames from the same bfloat16 features are equal, with autocast around the view or without."""
    network = generator(kind, 32)
    random = torch.Generator().manual_seed(0)
    inputs = network.decoder.inputs
    features = torch.randn(1, inputs.channels, *inputs.feature_size, generator=random)
    rgb, w = torch.randn(1, 3, 32, 32, generator=random), torch.randn(1, 8, generator=random)
    motion_v = torch.randn(1, inputs.motion_dim, generator=random)
    asked = View.of((32, 32), (517, 517), (250, 250, 260, 260), (0.1, 0.2))
    with torch.no_grad():
        drawn = network.decoder(features, rgb, w, motion_v)
        exact = drawn.look(asked)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = drawn.look(asked)
        assert rounded.dtype == torch.float32
        # Slopes across ten pixels of a sixteenth of a cell: rounding places to 8 bits would show as steps.
        noise = (rounded - exact).abs().max()
        base = Canvas(network.decoder, drawn.rgb, drawn.prepared).decoder.base(drawn.rgb, asked)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(network.decoder.base(drawn.rgb, asked), base)
    assert noise < 0.02 * exact.abs().max() + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_under_autocast_the_whole_generator_keeps_its_geometry(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents, offsets and shares of blends are the same to the last bit, whatever layers are rounded to."""
    network, found = generator(kind, 32).train(), []

    def watched(*args: Any) -> Between:
        found.append(between(*args))
        return found[-1]

    for module in (latent_layer, nvp_field):
        monkeypatch.setattr(module, "between", watched)
    asked = {"size": (517, 385), "window": (250, 120, 258, 131), "shift": (0.1, 0.2)}
    draw(network, (3.25,), **asked)
    exact, found[:] = list(found), []
    with torch.autocast("cpu", torch.bfloat16):
        frames = draw(network, (3.25,), **asked)
    assert frames.dtype == torch.float32 and len(found) == len(exact) == (4 if kind == "nvp" else 2)
    for one, other in zip(exact, found, strict=True):
        assert other.fraction.dtype == other.share.dtype == other.offset.dtype == torch.float32
        assert all(map(torch.equal, one, other))
    frames.square().mean().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in network.decoder.parameters())
    assert network.decoder.first.of_offset.grad.isfinite().all() and network.decoder.first.of_offset.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_under_autocast_a_shift_is_that_of_the_cubic_kernel_as_well(kind: str) -> None:
    network = generator(kind, 32, stirred=False)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        native, shifted = draw(network), draw(network, shift=(0.3, 0.0))
    rows = taps(torch.arange(32, dtype=torch.float64) + 0.3, 32)
    assert shifted.dtype == torch.float32 and torch.equal(shifted, resample(native, rows, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_right(kind: str) -> None:
    network = generator(kind).double()
    inputs, random = network.decoder.inputs, torch.Generator().manual_seed(0)
    shapes = [(1, inputs.channels, *inputs.feature_size), (1, 3, 16, 16), (1, 8), (1, inputs.motion_dim)]
    given = [0.3 * torch.randn(*shape, generator=random, dtype=torch.float64) for shape in shapes]
    asked = View.of((16, 16), (19, 23), (7, 7, 9, 10), (0.2, 0.1))
    direction = [torch.randn(one.shape, generator=random, dtype=torch.float64) for one in given]

    def along(a: Tensor) -> Tensor:
        return network.decoder(*(one + a * d for one, d in zip(given, direction, strict=True))).look(asked).sum()

    a = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(along(a), a)
    h = 1e-5
    with torch.no_grad():
        expected = (along(a + h) - along(a - h)) / (2 * h)
    torch.testing.assert_close(slope, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_path_lengths_have_derivatives(kind: str) -> None:
    network = generator(kind).train()
    ws = torch.randn(2, network.num_ws, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    t = torch.tensor([[0.0, 3.0]] * 2, dtype=torch.float64)
    clip = network.synthesis(ws, t, size=(20, 20), window=(2, 2, 14, 14))
    penalty, _, lengths = path_length_penalty(clip, ws, torch.randn(clip.shape), torch.zeros(()))
    penalty.backward()
    assert lengths.min() > 0
    first = network.decoder.first.weight.grad
    assert first.isfinite().all() and first.abs().max() > 0


def test_sizes_are_those_of_the_generator() -> None:
    cropped = generator("conv", (36, 50)).decoder.inputs
    assert cropped == DecoderInputs(8, (20, 28), (36, 50), 8, cropped.motion_dim)
    assert cropped.margin == (2, 3)
    # The first pixel of the frame is the third row of the working size: three quarters from row 0 to row 1 of its half.
    assert cropped.in_features(torch.zeros(1, dtype=torch.float64), 0).item() == 0.75
