from __future__ import annotations

from typing import Any

import pytest
import torch

from errors import InputError
from fields.nodes import build
from tests.fields import small_liif


def test_nested_nodes_become_modules_without_memory() -> None:
    model = build(small_liif.node(small_liif.RDN, unfold=False), 1000)
    assert type(model).__name__ == "LIIF" and type(model.encoder).__name__ == "RDN"
    assert model.imnet.layers[0].in_features == 8 + 4
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"class_path": "os.system", "init_args": {"command": "true"}}, "os.system: .* only modules of fields"),
        ({"class_path": "torch.nn.Linear"}, "only modules of fields"),
        ({"class_path": "fields.liif.nn.Linear"}, "not part of this version"),
        ({"class_path": "fields.mlp.nn"}, "only modules of fields"),
        ({"class_path": "fields.mlp.Sequence"}, "only modules of fields"),
        ({"class_path": "fields.weights.load_field"}, "only modules of fields"),
        ({"class_path": "fields.super_resolution.SuperResolution"}, "only modules of fields"),
        ({"class_path": "fields.nothing.Here"}, "not part of this version"),
        ({"class_path": "fields..mlp.MLP"}, "not part of this version"),
        ({"class_path": "fields.mlp.MLP", "init_args": {"wide": 1}}, "fields.mlp.MLP: cannot be built"),
        ({"class_path": "fields.mlp.MLP", "init_args": [1, 2]}, "no names and values"),
    ],
)
def test_anything_but_modules_of_this_room_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build(node, 100)
    assert "\n" not in str(error.value)


def test_a_config_that_asks_for_more_parameters_than_there_are_is_stopped_early() -> None:
    endless = small_liif.node({"class_path": "fields.encoders.EDSR", "init_args": {"num_blocks": 10**9}})
    with pytest.raises(InputError, match="more parameters than the 100 that there are"):
        build(endless, 100)
    assert torch.nn.Linear(1, 1).weight.numel() == 1  # and no module made later is counted
