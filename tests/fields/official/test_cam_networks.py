"""CAM's networks from tensors under the names of its programs, and what is refused. Values: tests/conformance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.official import cam_image, cam_signal


def signal_state() -> dict[str, Tensor]:
    widths = [(4, 7), (5, 4)]
    state = {f"net.{number}.weight": torch.rand(shape) for number, shape in enumerate(widths)}
    state |= {f"net.{number}.bias": torch.rand(shape[0]) for number, shape in enumerate(widths)}
    state |= {f"affine.{number}": torch.rand(1, 2, 6, 1) for number in range(2)}
    return state | {
        "net_last.weight": torch.rand(1, 5),
        "net_last.bias": torch.rand(1),
        "time_encoder.scales": torch.tensor([1, 2, 4]),
    }


def image_state() -> dict[str, Tensor]:
    state = {
        "pos_enc.proj": torch.rand(2, 3),
        "FC_0.linear.weight": torch.rand(4, 6),
        "FC_0.linear.bias": torch.rand(4),
    }
    state |= {"FC_0.affine": torch.rand(1, 2, 5, 7), "FC_final.linear.weight": torch.rand(3, 4)}
    return state | {"FC_final.linear.bias": torch.rand(3)}


def test_grids_become_two() -> None:
    state = signal_state()
    network = cam_signal({}, state)
    assert torch.equal(network.mlp.modulations[1].gamma.values[0], state["affine.1"][0, 0, :, 0])
    assert torch.equal(network.mlp.modulations[1].beta.values[0], state["affine.1"][0, 1, :, 0])
    assert network(torch.rand(3, 1)).shape == (3, 1)


def test_grids_of_pictures_are_turned() -> None:
    state = image_state()
    network = cam_image({}, state)
    assert torch.equal(network.mlp.modulations[0].beta.values[0], state["FC_0.affine"][0, 1].T)
    assert cam_image({"norm": False}, state).mlp.modulations[0].norm == "none"


def test_sigma_is_part_of_the_frequencies() -> None:
    one, two = (cam_image({"sigma": sigma}, image_state()).encoding.frequencies for sigma in (1, 2))
    assert one.shape == (3, 2) and one.abs().mean() < two.abs().mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"net.0.weight": None}, "missing"),
        ({"net.1.weight": torch.rand(5)}, "has not 2 axes"),
        ({"net_last.weight": torch.rand(1, 4)}, "asks? "),
        ({"net_last.bias": None}, "missing"),
        ({"affine.0": torch.rand(1, 2, 6, 2)}, "of one axis"),
        ({"affine.1": torch.rand(2, 6)}, "one pair"),
        ({"extra": torch.rand(1)}, "no tensor of such"),
        ({"time_encoder.scales": torch.tensor([1, 3, 9])}, "powers of two"),
    ],
)
def test_other_tensors_of_signals_are_refused(change: dict[str, Tensor | None], words: str) -> None:
    state = {name: value for name, value in (signal_state() | change).items() if value is not None}
    with pytest.raises(InputError, match=words):
        cam_signal({}, state)


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        ({"sigma": "ten"}, {}, "give a number"),
        ({}, {"pos_enc.proj": None}, "missing"),
        ({}, {"FC_0.linear.weight": None}, "missing"),
        ({}, {"FC_0.affine": torch.rand(1, 3, 5, 7)}, "one pair"),
        ({}, {"FC_final.linear.bias": torch.rand(2)}, "ask"),
    ],
)
def test_other_tensors_of_pictures_are_refused(config: dict, change: dict[str, Tensor | None], words: str) -> None:
    state = {name: value for name, value in (image_state() | change).items() if value is not None}
    with pytest.raises(InputError, match=words):
        cam_image(config, state)
