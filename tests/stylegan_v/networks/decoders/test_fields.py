"""What the decoders compute, against slow versions of them, and how smooth they are."""

from __future__ import annotations

import copy
import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from errors import InputError
from stylegan_v.networks import Generator
from stylegan_v.networks.decoders import ConvField
from stylegan_v.networks.view import View
from tests.stylegan_v.networks.decoded import KINDS, generator


def asked(network: Generator, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    inputs, random = network.decoder.inputs, torch.Generator().manual_seed(seed)
    shapes = [(1, inputs.channels, *inputs.feature_size), (1, inputs.style_dim), (1, inputs.motion_dim)]
    features, w, motion_v = (torch.randn(*shape, generator=random, dtype=torch.float64) for shape in shapes)
    return features, w, motion_v


def smooth(f: float) -> float:
    return f * f * (3 - 2 * f)


def answers(decoder: ConvField, features: Tensor, y: float, x: float, log_cell: tuple[float, float]) -> list[tuple]:
    """Weight, latent and relative coordinates of the four latents around a place, in their spacings."""
    first = decoder.first
    kernel = first.weight.unflatten(1, (-1, 3, 3)) / math.sqrt(first.weight.shape[1])
    mapped = F.conv2d(features, kernel, first.bias, padding=1)[0]
    found = []
    for below, right in product((0, 1), repeat=2):
        i, j = math.floor(y) + below, math.floor(x) + right
        weight = 1.0
        for f, upper in ((y - math.floor(y), below), (x - math.floor(x), right)):
            weight *= smooth(f) if upper else 1 - smooth(f)
        latent = mapped[:, min(max(i, 0), mapped.shape[1] - 1), min(max(j, 0), mapped.shape[2] - 1)]
        known = 2 * (y - i) * first.of_offset[0] + 2 * (x - j) * first.of_offset[1]
        cell = log_cell[0] * first.of_cell[0] + log_cell[1] * first.of_cell[1]
        found.append((weight, latent + known + cell))
    return found


def place(network: Generator, k: int, axis: int, size: int, shift: float) -> float:
    inputs = network.decoder.inputs
    native = (k + 0.5 + shift) * inputs.resolution[axis] / size - 0.5
    return (native + inputs.margin[axis] + 0.5) / 2 - 0.5


VIEW = View((53, 61), (0, 20, 3, 24), (0.3, 0.1))


def test_conv_field_is_what_it_says() -> None:
    network = generator("conv", (36, 50)).double()
    decoder, (features, w, motion_v) = network.decoder, asked(network)
    cell = (math.log2(36 / 53), math.log2(50 / 61))
    y0, x0, y1, x1 = VIEW.window
    hidden = torch.zeros(8, y1 - y0 + 4, x1 - x0 + 4, dtype=torch.float64)
    with torch.no_grad():
        for i, j in product(range(hidden.shape[1]), range(hidden.shape[2])):
            y, x = place(network, y0 - 2 + i, 0, 53, 0.3), place(network, x0 - 2 + j, 1, 61, 0.1)
            hidden[:, i, j] = sum(weight * one for weight, one in answers(decoder, features, y, x, cell))
        x = F.leaky_relu(hidden[None], 0.2)
        x = F.leaky_relu(F.conv2d(x, decoder.weight * math.sqrt(2 / 72), decoder.bias), 0.2)
        expected = F.conv2d(x, decoder.last_weight * math.sqrt(2 / 54), decoder.last_bias)
        found = decoder.query(decoder.prepare(features, w, motion_v), VIEW)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_point_field_is_what_it_says() -> None:
    network = generator("point", (36, 50)).double()
    decoder, (features, w, motion_v) = network.decoder, asked(network)
    cell = (math.log2(36 / 53), math.log2(50 / 61))
    y0, x0, y1, x1 = VIEW.window
    with torch.no_grad():
        factors = decoder.modulator(w)
        found = decoder.query(decoder.prepare(features, w, motion_v), VIEW)
        for i, j in product(range(y1 - y0), range(x1 - x0)):
            y, x = place(network, y0 + i, 0, 53, 0.3), place(network, x0 + j, 1, 61, 0.1)
            expected = 0.0
            for weight, one in answers(decoder, features, y, x, cell):
                one = F.silu(one) * (1 + factors[0][0])
                one = F.silu(decoder.hidden[0] @ one / math.sqrt(8) + decoder.biases[0]) * (1 + factors[1][0])
                expected = expected + weight * (decoder.last_weight @ one / math.sqrt(8) + decoder.last_bias)
            torch.testing.assert_close(found[0, :, i, j].double(), expected, rtol=1e-4, atol=1e-4)


def test_points_have_no_crease_where_latents_change() -> None:
    """Slopes just before and just after the centre of a latent agree, along both axes."""
    network = generator("point", 16).double()
    decoder, spacing = network.decoder, 8192  # pixels from one latent to the next
    centre = 7 * spacing // 2  # that of the latent with number 3 lies between this pixel and the one before
    for axis in (0, 1):
        size, window = [16, 16], [5, 5, 6, 6]
        size[axis], window[axis], window[axis + 2] = 8 * spacing, centre - 4, centre + 4
        with torch.no_grad():
            values = decoder.query(decoder.prepare(*asked(network)), View(tuple(size), tuple(window))).flatten(2)[0]
        slopes = values.double().diff(dim=1) * spacing
        assert slopes.abs().max() > 1e-2
        assert (slopes[:, -1] - slopes[:, 0]).abs().max() < 0.02 * slopes.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_magnifications_beyond_the_trained_range_look_like_its_end(kind: str) -> None:
    network = generator(kind)
    first = network.decoder.first
    with torch.no_grad():
        assert torch.equal(first.on_cell(View.of((16, 16))), torch.zeros(len(first.bias)))
        end, beyond = (first.on_cell(View.of((16, 16), (size, size))) for size in (64, 1000))
        assert torch.equal(end, beyond)
        assert not torch.equal(first.on_cell(View.of((16, 16), (32, 32))), end)


@pytest.mark.parametrize("kind", ["conv", "point"])
def test_an_untrained_layer_does_not_paint_the_grid_of_latents(kind: str) -> None:
    """Features that are the same everywhere give a picture that is, whatever layers follow; with offsets it is not."""
    network = generator(kind, stirred=False).double()
    decoder, (features, w, motion_v) = network.decoder, asked(network)
    with torch.no_grad():
        decoder.last_weight.normal_(generator=torch.Generator().manual_seed(2))
        given, view = decoder.prepare(torch.ones_like(features), w, motion_v), View((40, 56), (10, 14, 30, 42))
        plain = decoder.query(given, view).flatten(2)
        decoder.first.of_offset += 1
        striped = decoder.query(given, view).flatten(2)
    assert (plain - plain[..., :1]).abs().max() < 1e-5 < 1e-2 < (striped - striped[..., :1]).abs().max()


def test_a_style_changes_points_and_time_changes_planes() -> None:
    view = View.of((16, 16), (20, 20))
    for kind, varied in (("point", [1]), ("nvp", [1, 2])):
        network = generator(kind).double()
        one, other = asked(network, 0), asked(network, 1)
        for which in varied:
            mixed = [other[k] if k == which else one[k] for k in range(3)]
            with torch.no_grad():
                a, b = (network.decoder.query(network.decoder.prepare(*given), view) for given in (one, mixed))
            assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize("settings", [{"width": 0}, {"hidden": 0}, {"max_scale": 0.5}])
def test_sizes_that_cannot_be_are_refused(settings: dict) -> None:
    inputs = generator("conv").decoder.inputs
    with pytest.raises(InputError, match="at least 1"):
        ConvField(inputs, **settings)


def test_decoders_can_be_copied() -> None:
    for kind in KINDS:
        network = generator(kind)
        twin = copy.deepcopy(network)
        view, given = View.of((16, 16), (20, 20)), [one.float() for one in asked(network)]
        with torch.no_grad():
            a, b = (net.decoder.query(net.decoder.prepare(*given), view) for net in (network, twin))
        assert torch.equal(a, b)
