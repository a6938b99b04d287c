"""The generator as a graph draws what the generator draws, whatever it is made of."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.exporting.inputs import draw_inputs
from stylegan_v.exporting.plain_generator import PlainGenerator, PlainStyles, PlainSynthesis, styled_conv, to_rgb
from stylegan_v.networks.layers import StyledConv
from stylegan_v.networks.synthesis import ToRGB
from stylegan_v.rendering import draw_latents, render_float
from tests.stylegan_v.exporting.small import KINDS, generator

TIMES = torch.tensor([0.0, 3.5, 19.0], dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_the_frames_of_sampling(kind: str) -> None:
    network = KINDS[kind]()

    found = PlainGenerator(network)(**draw_inputs(network, "z", 0, range(2), TIMES))

    expected = torch.cat(list(render_float(network, draw_latents(network, 0, range(2)), TIMES)), dim=1)
    assert expected.std(dim=0).max() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_near_frames_are_those_of_the_generator_itself() -> None:
    network = generator()
    inputs = draw_inputs(network, "z", 0, range(2), TIMES)
    psi = inputs.pop("truncation_psi")

    torch.testing.assert_close(
        PlainGenerator(network)(**inputs, truncation_psi=psi), network(**inputs), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_does_not_depend_on_the_others(kind: str) -> None:
    network = KINDS[kind]()
    inputs = draw_inputs(network, "ws", 0, range(2), TIMES)
    plain = PlainSynthesis(network.synthesis)
    together = plain(**inputs)

    for video in range(2):
        for frame in range(len(TIMES)):
            one = {name: tensor[video : video + 1] for name, tensor in inputs.items()}
            alone = plain(**{**one, "t": one["t"][:, frame : frame + 1]})
            torch.testing.assert_close(alone[0, 0], together[video, frame], atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames_each", [1, 3])
@pytest.mark.parametrize("up", [1, 2])
def test_layers_are_those_of_the_network(frames_each: int, up: int) -> None:
    conv = StyledConv(4, 5, 6, up=up, conv_clamp=0.8)
    conv.bias.data.normal_()
    rgb = ToRGB(4, 6, conv_clamp=0.8)
    rgb.bias.data.normal_()
    x, w = torch.randn(2 * frames_each, 4, 8, 8), torch.randn(2, 6)

    torch.testing.assert_close(styled_conv(conv, x, w, frames_each), conv(x, w), atol=1e-5, rtol=0)
    torch.testing.assert_close(to_rgb(rgb, x, w, frames_each), rgb(x, w), atol=1e-5, rtol=0)


def test_styles_are_truncated_towards_the_mean_of_all_without_labels() -> None:
    network = generator()
    z = torch.randn(3, 8)
    w = network.mapping(z)

    found = PlainStyles(network)(z, torch.tensor([1.0, 0.5, 0.0]))

    torch.testing.assert_close(found[0], w[0])
    torch.testing.assert_close(found[1], (w[1] + network.mapping.w_avg) / 2)
    torch.testing.assert_close(found[2], network.mapping.w_avg.expand(network.num_ws, -1))


def test_styles_are_truncated_towards_the_mean_of_their_class() -> None:
    network = generator(c_dim=3)
    c = torch.eye(3)
    means = torch.stack(
        [network.mapping(torch.randn(20_000, 8), label.expand(20_000, -1))[:, 0].mean(dim=0) for label in c]
    )

    found = PlainStyles(network)(torch.randn(3, 8), torch.zeros(3), c)[:, 0]

    apart = (means[0] - means[1]).norm()
    assert (found - means).norm(dim=1).max() < 0.2 * apart
