"""What files take: named and sized per kind of generator, and drawn as sampling draws."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.exporting.inputs import draw_inputs, input_ports, output_port
from stylegan_v.exporting.plain_generator import PlainGenerator, PlainSynthesis
from stylegan_v.rendering import draw_latents, render_float
from tests.stylegan_v.exporting.small import DISTANCE, KINDS, REACH, generator


@pytest.mark.parametrize("take", ["z", "ws"])
@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_with_drawn_inputs_the_graph_draws_the_videos_of_the_seed(take: str, psi: float) -> None:
    network = generator(c_dim=3)
    t = torch.tensor([900.25, 1000.5, 910.0], dtype=torch.float64)
    graph = PlainGenerator(network) if take == "z" else PlainSynthesis(network.synthesis)

    found = graph(**draw_inputs(network, take, 5, [4, 1], t, truncation_psi=psi))

    latents = draw_latents(network, 5, [4, 1], truncation_psi=psi)
    expected = torch.cat(list(render_float(network, latents, t)), dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_window_has_the_codes_that_the_times_need_and_no_more() -> None:
    t = torch.tensor([5 * DISTANCE + 1.0, 3 * DISTANCE], dtype=torch.float64)

    inputs = draw_inputs(generator(), "z", 0, [0], t)

    assert inputs["first_code"].tolist() == [3]
    assert inputs["motion_z"].shape == (1, 3 + 1 + REACH, 6)


@pytest.mark.parametrize("take", ["z", "ws"])
@pytest.mark.parametrize("kind", KINDS)
def test_ports_say_what_the_tensors_are(kind: str, take: str) -> None:
    network = KINDS[kind]()
    tensors = draw_inputs(network, take, 0, range(2), torch.tensor([0.0, 50.0, 9.0], dtype=torch.float64))
    sizes = {"batch": 2, "frames": 3, "codes": 50 // DISTANCE + 2 + REACH}

    ports = input_ports(network, take)

    assert [port.name for port in ports] == list(tensors)
    for port in ports:
        tensor = tensors[port.name]
        assert tuple(sizes.get(size, size) for size in port.shape) == tensor.shape, port.name
        assert f"torch.{port.dtype}" == str(tensor.dtype)
    assert output_port(network).shape == ("batch", "frames", 3, *network.resolution)


def test_a_file_asks_for_nothing_that_makes_no_difference() -> None:
    names = {kind: [port.name for port in input_ports(KINDS[kind](), "ws")] for kind in KINDS}

    assert names["images with labels"] == ["ws", "t"]
    assert names["acyclic with labels"] == ["ws", "t", "motion_z", "first_code", "c"]
    assert names["time added to the styles"] == ["ws", "t", "motion_z", "first_code"]
