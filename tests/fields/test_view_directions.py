from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.modulation import CAM
from fields.view_directions import angles, view_coords


def direction(azimuth: float, height: float) -> Tensor:
    """Of an azimuth and an angle above the horizon, in radians."""
    flat = math.cos(height)
    return torch.tensor([[flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(height)]])


def perturbed(**settings: object) -> CAM:
    layer = CAM((10, 3), **settings)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    return layer


def test_azimuth_and_elevation_of_known_directions() -> None:
    found = angles(torch.cat([direction(0.0, 0.0), direction(math.pi / 2, math.pi / 4), direction(-math.pi / 2, -1.2)]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.5, -0.5], [-0.5, 1.2 * 2 / math.pi]]))
    assert torch.equal(angles(torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, -3.0]]))[:, 1], torch.tensor([-1.0, 1.0]))


def test_the_length_of_a_direction_does_not_matter() -> None:
    directions = torch.randn(20, 3)
    torch.testing.assert_close(view_coords(directions * 7), view_coords(directions))


def test_upward_directions_have_rows_of_their_own() -> None:
    """The original gives all of them its first row."""
    layer = perturbed()
    low, high = direction(0.3, 0.2), direction(0.3, 1.2)
    official = [layer.read(view_coords(one, "official"))[0] for one in (low, high)]
    assert torch.equal(*official)
    ours = [layer.read(view_coords(one))[0] for one in (low, high)]
    assert (ours[0] - ours[1]).abs().item() > 0.1
    up = torch.tensor([[0.0, 0.0, 1.0]])
    level = torch.tensor([[1.0, 0.0, 0.0]])
    azimuths = (layer.gamma.values[0, 4] + layer.gamma.values[0, 5]) / 2  # azimuth 0, between knots 4 and 5
    torch.testing.assert_close(layer.read(view_coords(up))[0][0, 0], azimuths[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(layer.read(view_coords(level))[0][0, 0], azimuths[1], rtol=0, atol=1e-5)


def test_the_azimuth_has_no_seam_where_it_is_periodic() -> None:
    before, after = direction(math.pi - 1e-4, -0.3), direction(-math.pi + 1e-4, -0.3)
    open_ends, circle = perturbed(), perturbed(periodic=(True, False))
    jump, none = (
        (layer.read(view_coords(before))[0] - layer.read(view_coords(after))[0]).abs().item()
        for layer in (open_ends, circle)
    )
    assert none < 1e-3 < 0.1 < jump


def test_an_unknown_elevation_is_refused() -> None:
    with pytest.raises(InputError, match="elevation 'half': give one of full, official"):
        view_coords(direction(0.0, 0.0), "half")
