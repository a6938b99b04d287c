from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from fields.nodes import build
from plain_config import parse_config
from tests.fields import small_liif

HERE = Path("config.yaml")


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system ['true']", "not readable YAML"),
        ("a: !!bool x", "not readable YAML"),
        ("[" * 3000, "not readable YAML"),
        ("- 1", "not a plain tree"),
        ("a: " + "[" * 50 + "]" * 50, "not a plain tree"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
            "not a plain tree",
        ),
        ("a" * 1_000_001, "too long"),
    ],
)
def test_hostile_configs_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, HERE)


def test_a_config_is_read_as_plain_values() -> None:
    assert parse_config("model: {class_path: x, init_args: {hidden: [1, 2]}}", HERE) == {
        "model": {"class_path": "x", "init_args": {"hidden": [1, 2]}}
    }
