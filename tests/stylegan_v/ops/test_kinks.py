"""Activations that are held on their pieces, against the pieces written out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v.ops.kinks import Kinks, beyond, held_clamp, held_leaky_relu, positive


def network(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2).clamp(-1.5, 1.5)


@pytest.mark.parametrize("x", [[-0.0, 0.0, -1.0, 2.0, math.inf, -math.inf, 1e-30]])
def test_held_where_it_was_it_is_the_activation_with_its_slope(x: list[float]) -> None:
    x = torch.tensor(x)
    for function, held in (
        (lambda x: F.leaky_relu(x, 0.2), lambda x: held_leaky_relu(x, positive(x), 0.2)),
        (lambda x: x.clamp(-1.0, 2.0), lambda x: held_clamp(x, beyond(x, -1.0, 2.0), -1.0, 2.0)),
    ):
        values, slopes = [], []
        for f in (function, held):
            here = x.clone().requires_grad_()
            values.append(f(here))
            slopes += torch.autograd.grad(values[-1].sum(), here)
        assert torch.equal(*values) and torch.equal(*slopes)


def test_held_elsewhere_it_goes_on_along_its_pieces() -> None:
    kinks = Kinks()
    start = torch.tensor([-1.0, 1.0, 5.0, -50.0])
    with kinks.recorded():
        assert torch.equal(network(start), torch.tensor([-0.2, 1.0, 1.5, -1.5]))
    x = torch.tensor([3.0, -3.0, -9.0, 70.0], requires_grad=True)
    with kinks.held():
        y = network(x)
    torch.testing.assert_close(y, torch.tensor([0.6, -3.0, 1.5, -1.5]))
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope, torch.tensor([0.2, 1.0, 0.0, 0.0]))
    assert torch.equal(network(x), torch.tensor([1.5, -0.6, -1.5, 1.5]))  # and outside it is free again


def test_a_clamp_with_one_end_is_held_too() -> None:
    kinks = Kinks()
    with kinks.recorded():
        torch.clamp(torch.tensor([-1.0, 1.0]), min=0)
    with kinks.held():
        assert torch.equal(torch.clamp(torch.tensor([5.0, -5.0]), min=0), torch.tensor([0.0, -5.0]))


def test_whole_numbers_are_clamped_as_ever() -> None:
    kinks, rows = Kinks(), torch.tensor([-3, 30])
    with kinks.recorded():
        rows.clamp(0, 9)
    assert kinks.pieces == []
    with kinks.held():
        assert rows.clamp(0, 9).tolist() == [0, 9]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda x: x, "2 activations were recorded, and 0 came again"),
        (lambda x: network(x[:1]), "activation 0 is not the one"),
        (lambda x: x.clamp(-1, 1), "activation 0 is not the one"),
        (lambda x: network(network(x)), "activation 2 is not the one"),
    ],
)
def test_other_calls_than_the_recorded_ones_are_refused(second: object, message: str) -> None:
    kinks, x = Kinks(), torch.randn(3)
    with kinks.recorded():
        network(x)
    with pytest.raises(RuntimeError, match=message), kinks.held():
        second(x)


def test_recording_again_forgets_what_was_recorded() -> None:
    kinks = Kinks()
    for x in (torch.ones(2), -torch.ones(2)):
        with kinks.recorded():
            F.leaky_relu(x, 0.2)
    with kinks.held():
        torch.testing.assert_close(F.leaky_relu(torch.ones(2), 0.2), torch.full((2,), 0.2))
