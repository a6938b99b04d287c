from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.ffnerv.latents import MultiResLatents, TemporalLatents
from fields.quantisers import TanhFloor


def test_knots_stand_at_their_number_over_the_count() -> None:
    latents = TemporalLatents(5, 2, (2, 3))
    torch.testing.assert_close(latents(torch.arange(5) / 5), latents.values)


def test_between_knots_it_is_linear() -> None:
    latents = TemporalLatents(4, 1, (1, 2))
    a, b = latents.values[1], latents.values[2]
    torch.testing.assert_close(latents(torch.tensor([1.25 / 4]))[0], 0.75 * a + 0.25 * b)


def test_beyond_the_knots_the_outermost_stay() -> None:
    latents = TemporalLatents(4, 2, (2, 2))
    found = latents(torch.tensor([-0.1, 0.76, 0.99, 1.0, 1.5]))
    expected = latents.values[[0, 3, 3, 3, 3]]
    torch.testing.assert_close(found, expected)


def test_one_knot_is_a_picture_that_stands_still() -> None:
    latents = TemporalLatents(1, 2, (2, 2))
    torch.testing.assert_close(latents(torch.tensor([0.0, 0.6])), latents.values.expand(2, -1, -1, -1))


def test_knots_start_as_xavier_says() -> None:
    values = TemporalLatents(40, 6, (5, 7)).values.detach()
    bound = math.sqrt(6 / ((40 + 6) * 5 * 7))
    assert 0.98 * bound < values.abs().max() <= bound
    assert float(values.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_resolutions_share_the_channels_in_order() -> None:
    latents = MultiResLatents((2, 4), 6, (2, 3))
    t = torch.tensor([0.1, 0.5])
    found = latents(t)
    assert found.shape == (2, 6, 2, 3)
    torch.testing.assert_close(found[:, :3], latents.levels[0](t))
    torch.testing.assert_close(found[:, 3:], latents.levels[1](t))


def test_knots_are_quantised_before_they_are_mixed() -> None:
    latents = TemporalLatents(4, 2, (2, 2), TanhFloor(4))
    knots = TanhFloor(4)(latents.values)
    torch.testing.assert_close(latents(torch.tensor([0.375]))[0], (knots[1] + knots[2]) / 2)


def test_gradients_reach_the_two_knots_beside_a_moment() -> None:
    latents = TemporalLatents(5, 1, (1, 1), TanhFloor(6))
    latents(torch.tensor([0.5])).sum().backward()
    slope = 1 - latents.values.detach().tanh() ** 2
    expected = torch.tensor([0, 0, 0.5, 0.5, 0]).reshape(5, 1, 1, 1) * slope
    torch.testing.assert_close(latents.values.grad, expected)


def test_latents_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="7 channels cannot be shared by 2"):
        MultiResLatents((2, 4), 7, (2, 3))
    with pytest.raises(InputError, match="0 knots"):
        TemporalLatents(0, 2, (2, 3))
    with pytest.raises(InputError, match="cannot be shared by 0"):
        MultiResLatents((), 7, (2, 3))
