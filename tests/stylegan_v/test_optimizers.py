from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from errors import InputError
from stylegan_v.optimizers import make_optimizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def adam(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    return make_optimizer("d", lambda params: torch.optim.Adam(params, **settings), model)


def trained(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    optimizer = adam(model, **settings)
    for x in torch.randn(3, 4, 2):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return optimizer


def frozen(model: nn.Sequential) -> nn.Sequential:
    """The first layer's parameters as buffers of the same names."""
    for name in ("weight", "bias"):
        value = getattr(model[0], name).detach()
        delattr(model[0], name)
        model[0].register_buffer(name, value)
    return model


def by_name(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, torch.Tensor]]:
    state, (group,) = optimizer.state_dict()["state"], optimizer.state_dict()["param_groups"]
    return {name: state[i] for name, i in zip(group["param_names"], group["params"], strict=True) if i in state}


def test_state_is_saved_with_names() -> None:
    (group,) = trained(network()).state_dict()["param_groups"]
    assert group["param_names"] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_the_same_parameters_get_the_same_state() -> None:
    saved = trained(network())
    loaded = adam(network())
    loaded.load_state_dict(saved.state_dict())
    assert loaded.state_dict()["param_groups"] == saved.state_dict()["param_groups"]
    torch.testing.assert_close(loaded.state_dict()["state"], saved.state_dict()["state"], rtol=0, atol=0)


def test_of_fewer_parameters_each_keeps_its_own_state() -> None:
    saved = trained(network())
    loaded = adam(frozen(network()))
    loaded.load_state_dict(saved.state_dict())
    kept = {name: by_name(saved)[name] for name in ("1.weight", "1.bias")}
    torch.testing.assert_close(by_name(loaded), kept, rtol=0, atol=0)


def test_parameters_that_begin_to_move_begin_afresh() -> None:
    saved = trained(frozen(network()))
    model = network()
    loaded = adam(model)
    loaded.load_state_dict(saved.state_dict())
    torch.testing.assert_close(by_name(loaded), by_name(saved), rtol=0, atol=0)
    model(torch.randn(4, 2)).square().mean().backward()
    loaded.step()
    assert {name: int(state["step"]) for name, state in by_name(loaded).items()} == {
        "0.weight": 1,
        "0.bias": 1,
        "1.weight": 4,
        "1.bias": 4,
    }


def test_settings_are_those_given_now() -> None:
    loaded = adam(network(), lr=0.25, betas=(0.5, 0.75))
    loaded.load_state_dict(trained(network()).state_dict())
    assert loaded.param_groups[0]["lr"] == 0.25
    assert loaded.param_groups[0]["betas"] == (0.5, 0.75)


class Counting(torch.optim.SGD):
    """Keeps a count beside its settings, as schedule-free optimisers do."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr)
        self.param_groups[0]["count"] = 0


def test_state_beside_the_settings_is_restored() -> None:
    saved, loaded = (make_optimizer("d", lambda params: Counting(params), network()) for _ in range(2))
    saved.param_groups[0]["count"] = 7
    loaded.load_state_dict(saved.state_dict())
    assert loaded.param_groups[0]["count"] == 7


def test_the_state_of_an_optimiser_with_other_groups_is_refused() -> None:
    model = network()
    groups = make_optimizer("d", lambda params: torch.optim.Adam([{"params": [p]} for p in params]), model)
    with pytest.raises(InputError, match=r"ckpt_path: .* give the optimisers of that run"):
        adam(network()).load_state_dict(groups.state_dict())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"lr": -1.0}, "Invalid learning rate: -1.0"), ({"fused": True, "foreach": True}, "fused")],
)
def test_settings_that_torch_refuses_are_named(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=f"^d: .*{expected}"):
        adam(network(), **settings)
