from __future__ import annotations

from typing import Any

import pytest

from errors import InputError
from stylegan_v.official.interpolation import References


def resolved(tree: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    references = References(tree)
    return references.resolved(tree, "config"), references.unknown


def test_a_reference_takes_the_value_with_its_type() -> None:
    tree = {
        "a": {"b": 3, "c": None, "d": [1, "${a.b}"], "e": True},
        "x": ["${a.b}", "${a.c}", "${a.d}", "${a.e}", "${a}"],
    }
    a = {"b": 3, "c": None, "d": [1, 3], "e": True}
    assert resolved(tree) == ({"a": a, "x": [3, None, [1, 3], True, a]}, {})


def test_references_inside_text_are_written_into_it() -> None:
    tree = {"name": "ffs_${size}", "size": 32, "path": "${root}/${name}/x", "root": None}
    assert resolved(tree)[0] == {"name": "ffs_32", "size": 32, "path": "None/ffs_32/x", "root": None}


def test_paths_lead_through_references() -> None:
    tree = {"g": {"sampling": "${sampling}", "d": "${g.sampling.dist}"}, "sampling": "${other}", "other": {"dist": 16}}
    assert resolved(tree)[0]["g"] == {"sampling": {"dist": 16}, "d": 16}


@pytest.mark.parametrize(
    "tree, left",
    [
        ({"a": "${b}"}, {"config.a": "${b}"}),
        ({"a": "${b.c}", "b": 3}, {"config.a": "${b.c}"}),
        ({"a": "${a}"}, {"config.a": "${a}"}),
        ({"a": "${b}", "b": "${a}"}, {"config.a": "${b}", "config.b": "${a}"}),
        ({"a": "${now:%Y}"}, {"config.a": "${now:%Y}"}),
        ({"a": "${oc.env:HOME}"}, {"config.a": "${oc.env:HOME}"}),
        ({"a": "${.b}", "b": 1}, {"config.a": "${.b}"}),
        ({"a": "${b", "b": 1}, {"config.a": "${b"}),
        ({"a": "x ${b} y", "b": {}}, {"config.a": "x ${b} y"}),
        ({"a": "${${b}}", "b": "c", "c": 1}, {"config.a": "${${b}}"}),
        ({"a": "???", "b": "${a}"}, {"config.a": "???", "config.b": "${a}"}),
        ({"a": ["x", "${b}"]}, {"config.a[1]": "${b}"}),
    ],
)
def test_what_cannot_be_followed_stays_as_it_is_and_is_said(tree: dict[str, Any], left: dict[str, str]) -> None:
    assert resolved(tree) == (tree, left)


def test_a_section_that_contains_itself_is_followed_once() -> None:
    read, unknown = resolved({"a": {"x": "${a}"}})
    assert read == {"a": {"x": {"x": "${a}"}}} and list(unknown.values()) == ["${a}"]


def test_chains_have_an_end() -> None:
    short = {f"k{i}": f"${{k{i + 1}}}" for i in range(15)} | {"k15": 1}
    assert set(resolved(short)[0].values()) == {1}
    long = {f"k{i}": f"${{k{i + 1}}}" for i in range(40)} | {"k40": 1}
    read, unknown = resolved(long)
    assert read["k0"] == "${k1}" and read["k39"] == 1 and "config.k0" in unknown and "config.k39" not in unknown


@pytest.mark.parametrize("form", [lambda i: {str(k): f"${{x{i}}}" for k in range(8)}, lambda i: 8 * [f"${{x{i}}}"]])
def test_references_that_multiply_are_refused(form: Any) -> None:
    with pytest.raises(InputError, match="multiply"):
        resolved({"x0": "ha"} | {f"x{i + 1}": form(i) for i in range(12)})


def test_text_that_grows_is_left_alone() -> None:
    tree = {"x0": "ha"} | {f"x{i + 1}": 16 * f"${{x{i}}}" for i in range(3)}
    read, unknown = resolved(tree)
    assert read["x2"] == 256 * "ha" and read["x3"] == tree["x3"] and list(unknown) == ["config.x3"]


def test_deep_settings_do_not_exhaust_the_interpreter() -> None:
    deep: Any = "end"
    for _ in range(20):
        deep = {"k": deep}
    tree = {f"s{i}": deep for i in range(3)} | {"t": "${s0}"}
    assert resolved(tree)[0]["t"] == deep
    nested: dict[str, Any] = {}
    for i in range(16):
        inner: Any = f"${{s{i + 1}}}"
        for _ in range(20):
            inner = {"k": inner}
        nested[f"s{i}"] = inner
    with pytest.raises(InputError, match="nest"):
        resolved(nested)
