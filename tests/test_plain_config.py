from __future__ import annotations

from pathlib import Path

import pytest

from errors import InputError
from plain_config import is_bounded, parse_config

HERE = Path("config.yaml")


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


def test_the_message_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"config\.yaml: .*: give another$"):
        parse_config("- 1", HERE, "give another")


def test_a_tree_is_counted_with_every_value() -> None:
    tree = {"a": [1, 2], "b": {"c": 3}}  # itself, two children, three leaves
    assert is_bounded(tree, 6) and not is_bounded(tree, 5)
