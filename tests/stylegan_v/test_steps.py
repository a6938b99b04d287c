"""Gathered, checked and conditional optimiser steps."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from errors import InputError
from stylegan_v import steps
from stylegan_v.optimizers import make_optimizer

OPTIMIZERS = {
    "fused adam": lambda params: steps.AdversarialAdam(params),
    "adam": lambda params: torch.optim.Adam(params, lr=0.1, betas=(0.0, 0.99)),
    "fused sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, fused=True),
}


def test_means_weigh_micro_batches_equally_and_forget_graphs() -> None:
    means = steps.Means(2)
    means.record({"loss": torch.tensor(1.0, requires_grad=True) * 2, "w": torch.tensor([1.0, 2.0])})
    means.record({"loss": torch.tensor(4.0), "w": torch.tensor([3.0, 6.0])})
    assert means["loss"].item() == 3.0 and not means["loss"].requires_grad
    assert means["w"].tolist() == [2.0, 4.0]


def test_means_are_kept_in_single_precision() -> None:
    means = steps.Means(1)
    means.record({"loss": torch.tensor(1.5, dtype=torch.bfloat16)})
    assert means["loss"].dtype == torch.float32


def test_parameters_that_no_loss_reached_get_a_zero_gradient() -> None:
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    (a * 2).sum().backward()
    gradients = steps.gradients_of(torch.optim.SGD([a, b], lr=1.0))
    assert [g.tolist() for g in gradients] == [[2.0, 2.0], [0.0, 0.0, 0.0]]
    assert b.grad is gradients[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_norm_of_gradients_shows_what_is_not_finite(bad: float) -> None:
    gradients = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    assert steps.gradient_norm(gradients).item() == 5.0
    gradients[1][0, 0] = bad
    assert not steps.all_finite(steps.gradient_norm(gradients))


def test_all_finite_looks_at_every_element() -> None:
    assert steps.all_finite(torch.tensor(1.0), torch.zeros(3))
    assert not steps.all_finite(torch.tensor(1.0), torch.tensor([0.0, math.inf]))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_step_is_taken_or_left_out_as_a_whole(make: Callable[[Any], torch.optim.Optimizer]) -> None:
    def started() -> tuple[nn.Parameter, torch.optim.Optimizer]:
        torch.manual_seed(0)
        parameter = nn.Parameter(torch.randn(5))
        optimizer = make([parameter])
        parameter.grad = torch.randn(5)
        optimizer.step()
        parameter.grad = torch.randn(5)
        return parameter, optimizer

    plain, plain_optimizer = started()
    plain_optimizer.step()
    taken, taken_optimizer = started()
    steps.step_if(torch.tensor(True), taken_optimizer)
    assert torch.equal(plain, taken)

    skipped, skipped_optimizer = started()
    skipped.grad[0] = math.nan
    value, state = skipped.detach().clone(), copy.deepcopy(skipped_optimizer.state_dict())
    steps.step_if(torch.tensor(False), skipped_optimizer)
    assert torch.equal(skipped, value)
    for key, old in state["state"][0].items():
        assert torch.equal(torch.as_tensor(skipped_optimizer.state_dict()["state"][0][key]), torch.as_tensor(old))

    skipped.grad = taken.grad
    steps.step_if(torch.tensor(True), skipped_optimizer)
    assert torch.equal(skipped, taken)


def test_average_of_parameters_and_copy_of_buffers() -> None:
    average, current = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(current.weight, 3.0)
    current.running_mean.fill_(7.0)
    steps.move_average(average, current, beta=0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [7.0, 7.0]


def test_beta_of_zero_copies() -> None:
    average, current = nn.Linear(3, 3), nn.Linear(3, 3)
    steps.move_average(average, current, beta=0.0)
    assert torch.equal(average.weight, current.weight)


def test_guard_counts_each_phase_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    guard = steps.DivergenceGuard(2)
    with caplog.at_level(logging.WARNING):
        guard.check(0, {"generator": False, "discriminator": True, "r1": False})
        guard.check(1, {"generator": True, "discriminator": False})
        guard.check(2, {"generator": False, "discriminator": True})
    assert guard.bad_in_a_row == {"generator": 1, "discriminator": 0, "r1": 1}
    assert [record.args for record in caplog.records] == [
        (0, "generator"),
        (0, "r1"),
        (1, "discriminator"),
        (2, "generator"),
    ]
    with pytest.raises(InputError, match="phase r1 was not finite for 2 updates in a row, the last at update 16"):
        guard.check(16, {"generator": True, "discriminator": True, "r1": False})


def test_what_all_layers_share_is_used_first() -> None:
    network = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in ("blocks", "mapping", "decoder", "motion")})
    optimizer = make_optimizer("optimizer", lambda params: torch.optim.SGD(params, lr=1.0), network)
    names = {parameter: name for name, parameter in network.named_parameters()}
    used = [names[parameter].split(".")[0] for parameter in steps.in_order_of_use(optimizer)]
    assert used == ["mapping", "motion", "blocks", "decoder"]
