from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from stylegan_v.callbacks import measuring
from stylegan_v.metrics.detectors import table
from tests.stylegan_v import quick_scores

RECORD = {
    "updates": 7,
    "protocol": "fvd",
    "value": 123.456,
    "spread": 2.5,
    "sanity": {"real": 10.0, "frozen": 400.0, "num": 32},
    "late": {"0": 120.0, "128": 130.0},
}


def test_what_tensorboard_shows() -> None:
    assert measuring.scalars(RECORD) == {
        "metrics/fvd": 123.456,
        "metrics/fvd/floor": 10.0,
        "metrics/fvd/frozen": 400.0,
        "metrics/fvd/from_0": 120.0,
        "metrics/fvd/from_128": 130.0,
    }
    bare = RECORD | {"sanity": None, "late": None, "spread": None}
    assert measuring.scalars(bare) == {"metrics/fvd": 123.456}
    assert measuring.headline(bare) == "update 7: fvd 123.5"


def test_what_the_log_says() -> None:
    assert measuring.headline(RECORD) == "update 7: fvd 123.5 +- 2.5 (floor 10, frozen 400)"


@pytest.fixture
def protocols(tmp_path: Path) -> list[Any]:
    paths = [quick_scores.protocol(tmp_path, name, detector=network) for name, network in (("a", "x"), ("b", "y"))]
    return measuring.read_protocols(paths)


def _load(missing: str) -> Any:
    def load(name: str, path: Any, device: Any) -> str:
        if name == missing:
            raise InputError(f"{name}: {path}: download it")
        return f"network {name}"

    return load


@pytest.mark.parametrize(
    ("rank", "ranks_that_have", "said"),
    [
        (0, "", "evaluation: b left out: y: None: download it"),
        (1, "", None),  # the first rank has said it
        (1, "0", "evaluation: b left out: y: None: download it"),
    ],
)
def test_what_is_missing_is_said_once(
    protocols: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rank: int,
    ranks_that_have: str,
    said: str | None,
) -> None:
    """Seen from a rank that lacks it; with one that has it, and without."""
    answers = {"": [True, False, False], "0": [True, False, True]}[ranks_that_have]
    monkeypatch.setattr(table, "load_detector", _load("y"))
    monkeypatch.setattr(measuring.rank_zero_only, "rank", rank)
    given = iter(answers)
    found = measuring.load_measurements(protocols, {}, torch.device("cpu"), lambda _: None, lambda held: next(given))
    assert [(each.protocol.name, each.detector) for each in found] == [("a", "network x")]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [said] * bool(
        said
    )


def test_a_rank_that_has_what_another_lacks_leaves_it_out_too(
    protocols: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(table, "load_detector", _load(""))
    monkeypatch.setattr(measuring.rank_zero_only, "rank", 0)
    answers = iter([False, True, True])  # the second rank lacks the network of the first protocol
    found = measuring.load_measurements(protocols, {}, torch.device("cpu"), lambda _: None, lambda held: next(answers))
    assert [each.protocol.name for each in found] == ["b"]
    assert "evaluation: a left out: another rank lacks what it needs" in caplog.text


def test_files_of_weights_go_to_their_networks(protocols: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(table, "load_detector", lambda name, path, device: asked.append((name, path)))
    monkeypatch.setattr(table, "entry_of", lambda name: None)
    measuring.load_measurements([*protocols, protocols[0]], {"y": "y.pt"}, torch.device("cpu"), lambda _: None)
    assert asked == [("x", None), ("y", "y.pt")]  # each once
