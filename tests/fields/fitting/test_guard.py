"""The guard of a fit: what it takes for a collapse, which state it keeps, how often it goes back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fields.fitting.guard import ATTEMPTS, CollapseGuard, copied, cosine_rate, psnr_of


def fed(*errors: float, times: int = 100, guard: CollapseGuard | None = None) -> CollapseGuard:
    """A guard that saw each error so often, and looked when it was time; its states count what it saw."""
    guard = guard or CollapseGuard()
    for number, error in enumerate(error for error in errors for _ in range(times)):
        guard.add(torch.tensor(error))
        if guard.is_due and not guard.has_collapsed():
            guard.keep(lambda number=number: {"at": torch.tensor(number)})
    return guard


def test_psnr_is_of_a_range_of_two() -> None:
    assert psnr_of(4.0) == 0 and psnr_of(0.04) == pytest.approx(20) and psnr_of(0.0) == math.inf


def test_the_rate_is_that_of_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, 1e-5)
    for update in range(51):
        assert cosine_rate(update, 50, 0.01, 1e-5) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        schedule.step()
    assert cosine_rate(99, 50, 0.01, 1e-5) == pytest.approx(1e-5)


def test_copies_share_nothing() -> None:
    tensor = torch.zeros(2)
    copy = copied({"a": [tensor, 3], "b": {0: (tensor,)}})
    tensor += 1
    assert copy["a"][0].tolist() == [0, 0] and copy["a"][1] == 3 and copy["b"][0][0].tolist() == [0, 0]


def test_more_than_three_decibels_below_the_best_is_a_collapse() -> None:
    guard = fed(0.01)
    assert not guard.has_collapsed()
    assert not fed(0.0199, guard=guard).has_collapsed()
    assert fed(0.0201, guard=fed(0.01)).has_collapsed()


def test_a_short_burst_is_none() -> None:
    guard = fed(0.01)
    fed(0.05, times=20, guard=guard)  # the mean over 100 is 0.018
    assert not guard.has_collapsed()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_a_collapse_at_once(value: float) -> None:
    guard = fed(0.01)
    assert fed(value, times=1, guard=guard).has_collapsed()
    assert fed(value, times=1).has_collapsed()


def test_the_best_state_is_kept_at_most_once_in_a_window() -> None:
    guard = fed(0.02, 0.01, 0.015)
    assert guard.good["at"] == 199
    assert fed(0.02, times=99).good is None


def test_it_goes_back_three_times() -> None:
    guard = fed(0.01)
    found: list[Tensor | None] = []
    for _ in range(ATTEMPTS + 1):
        state = fed(math.nan, times=10, guard=guard).go_back()
        found.append(state)
    assert [state is not None for state in found] == [True, True, True, False]
    assert guard.restores == 3 and not fed(0.019, times=100, guard=guard).has_collapsed()


def test_there_is_no_way_back_without_a_state() -> None:
    assert CollapseGuard().go_back() is None


def test_it_goes_on_from_its_state() -> None:
    one = fed(0.02, 0.01, times=155)
    other = CollapseGuard()
    other.load_state_dict(copied(one.state_dict()))
    for guard in (one, other):
        fed(0.0195, times=95, guard=guard)
    assert one.has_collapsed() == other.has_collapsed() is False
    assert copied(one.state_dict()).keys() == other.state_dict().keys()
    assert torch.equal(one.state_dict()["errors"], other.state_dict()["errors"])
    assert fed(0.03, guard=other).has_collapsed()
