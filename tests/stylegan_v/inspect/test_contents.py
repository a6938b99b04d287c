from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from stylegan_v.inspect.contents import count_not_finite, optimizer_settings, split


def test_split_keeps_what_belongs_to_no_network() -> None:
    state = {"generator.a.b": 1, "generator_ema.a.b": 2, "discriminator.c": 3, "ada.p": 4, "generator": 5}
    found = split({name: torch.tensor(value) for name, value in state.items()})
    assert {network: {n: t.item() for n, t in tensors.items()} for network, tensors in found.items()} == {
        "generator": {"a.b": 1},
        "generator_ema": {"a.b": 2},
        "discriminator": {"c": 3},
        "other": {"ada.p": 4, "generator": 5},
    }
    with pytest.raises(InputError, match=r"generator\.a: no plain tensor"):
        split({"generator.a": 3})


def test_values_that_are_not_finite_are_counted() -> None:
    assert count_not_finite([torch.tensor([math.nan, 1.0]), 3, torch.tensor([-math.inf]), torch.tensor([1])]) == 2
    with pytest.raises(InputError, match="claims more values"):
        count_not_finite([torch.zeros(1).expand(10**12)])


def test_optimizer_settings_are_those_that_people_ask_for() -> None:
    group = {"lr": 0.1, "betas": (0.0, 0.99), "fused": True, "params": [1, 2]}
    assert optimizer_settings(group) == {"lr": 0.1, "betas": [0.0, 0.99]}
