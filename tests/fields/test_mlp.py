from __future__ import annotations

import torch
from torch import nn

from fields.mlp import MLP


def test_layers_are_linear_and_activation_in_turn() -> None:
    mlp = MLP(3, 2, (5, 4))
    x = torch.randn(6, 7, 3)
    state = mlp.state_dict()
    first = torch.relu(x @ state["layers.0.weight"].T + state["layers.0.bias"])
    second = torch.relu(first @ state["layers.2.weight"].T + state["layers.2.bias"])
    torch.testing.assert_close(mlp(x), second @ state["layers.4.weight"].T + state["layers.4.bias"])


def test_another_activation_and_no_hidden_layer() -> None:
    assert [type(layer) for layer in MLP(3, 2, (4,), nn.GELU).layers] == [nn.Linear, nn.GELU, nn.Linear]
    assert [type(layer) for layer in MLP(3, 2, ()).layers] == [nn.Linear]
    assert sum(one.numel() for one in MLP(580, 3).parameters()) == 346_883
