from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from stylegan_v.inspect.opening import open_contents
from stylegan_v.inspect.report import describe
from stylegan_v.inspect.text import as_text, millions, printable


@pytest.fixture(scope="module")
def report(trained: Path) -> dict[str, Any]:
    return describe(open_contents(trained))


def lines(text: str) -> list[str]:
    """Lines with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_paragraphs_say_what_people_ask_for(report: dict[str, Any]) -> None:
    text = lines(as_text(report))
    assert text[0] == report["file"]["path"]
    size = report["networks"]["generator"]["parameters"]
    for line in (
        "updates 4",
        "kimg 0.048 (48 frames, 100.0% of total_kimg 0.048)",
        "kclips 0.016 (16 clips)",
        "fps of the data 25",
        f"generator {size / 1e6:.3f} M ({size:,}) parameters in 59 tensors with buffers, float32",
        "resolution 32 x 32",
        "c_dim 0",
        "num_frames 3",
        "channels b4 16, b8 16, b16 16, b32 8",
        "conditioning HypernetworkConditioning",
        "motion MotionEncoder",
        "motion.distance 8",
        "motion.max_period 64",
        "ema_kclips 1.25",
        "nothing wrong found",
    ):
        assert line in text
    assert any(line.startswith("generator AdversarialAdam: lr 0.002, betas (0, 0.991") for line in text)


def test_summary_has_a_line_for_each_module(report: dict[str, Any]) -> None:
    table = as_text(report).split("\n\n")[-2].splitlines()
    networks = [line for line in table if not line.startswith(" ")]
    assert networks == list(report["networks"])
    assert len(table) == 1 + len(networks) + len(report["modules"])
    assert len({len(line) for line in table if line.startswith(" ")}) == 1  # columns stand below each other
    assert max(map(len, table)) <= 100
    (block,) = (line.split() for line in table if line.split()[0] == "blocks.b8")
    (row,) = (row for row in report["modules"] if row["module"] == "blocks.b8")
    spread = row["spread"]
    assert block == [
        "blocks.b8",
        "7",
        "16x16x3x3",
        "5,168",
        *(f"{spread[n]:.3g}" for n in ("mean", "std", "min", "max")),
    ]


def test_whole_table_has_a_line_for_each_tensor(report: dict[str, Any]) -> None:
    table = as_text(report, "all").split("\n\n")[-2].splitlines()
    names = [line.split()[0] for line in table[1:] if line.startswith(" ")]
    assert names == [tensor["name"] for tensor in report["tensors"]]
    assert any(line.split()[:4] == ["ada.clips", "int64", "scalar", "1"] for line in table)


def test_without_table(report: dict[str, Any]) -> None:
    text = as_text(report, "none")
    assert "synthesis.blocks.b8" not in text and "nothing wrong found" in text


def test_what_is_not_finite_is_marked_in_the_table(report: dict[str, Any]) -> None:
    spoilt = copy.deepcopy(report)
    spoilt["modules"][0]["spread"] |= {"not_finite": 1234, "mean": None}
    spoilt["health"] = [{"level": "bad", "where": "here", "what": "this"}, {"level": "note", "where": "a", "what": "b"}]
    text = as_text(spoilt)
    (line,) = (line for line in text.splitlines() if line.endswith("!! 1,234 not finite"))
    assert " - " in line
    assert text.endswith("health\n  !! here: this\n     a: b")


def test_little_is_known_of_some_files() -> None:
    report = {
        "file": {
            "path": "x.safetensors",
            "what": "w",
            "bytes": 1,
            "sha256": "ab",
            "modified": "now",
            "written_by": {},
            "beside": {},
        }
    }
    empty = {name: {} for name in ("counters", "networks", "settings", "origins", "embedded")}
    empty |= {name: [] for name in ("optimizers", "health", "modules", "tensors")}
    text = as_text(report | empty | {"notes": ["one thing"]}, "none")
    assert "sha256" in text and "not recorded" in text and "notes\n  one thing" in text
    assert "progress" not in text and "optimisers" not in text


def test_skipped_steps_are_named(report: dict[str, Any]) -> None:
    spoilt = copy.deepcopy(report)
    spoilt["counters"]["bad_in_a_row"] = {"generator": 0, "r1": 3}
    assert "skipped steps r1 3" in lines(as_text(spoilt))
    assert "skipped steps" not in as_text(report)


def test_clips_of_the_weights_a_run_started_from(report: dict[str, Any]) -> None:
    tuned = copy.deepcopy(report)
    tuned["counters"]["past_clips"] = 2500
    assert "kclips before 2.500, of the weights it started from" in lines(as_text(tuned))
    assert "kclips before" not in as_text(report)


def test_names_cannot_steer_the_terminal(report: dict[str, Any]) -> None:
    assert printable("a\x1b[2Jb\nc\r\u202ed\té") == "a?[2Jb\nc??d?é"
    hostile = copy.deepcopy(report)
    hostile["modules"][0]["module"] = "\x1b]0;title\x07"
    hostile["file"]["written_by"] = {"\x1b[31m": "x"}
    assert "\x1b" not in as_text(hostile) and "\x07" not in as_text(hostile)


def test_millions_are_also_exact() -> None:
    assert millions(32_105_941) == "32.106 M (32,105,941)"
