from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from stylegan_v.callbacks.best import BestCheckpoint, read_record
from stylegan_v.checkpoints import remove_stale
from tests.stylegan_v import tiny_gan


def _record(updates: int, value: float, **others: Any) -> dict[str, Any]:
    hashes = {"protocol_hash": "p", "detector_hash": "d", "manifest_hash": "m"}
    return {"protocol": "fvd", "updates": updates, "value": value, "part": "validation"} | hashes | others


def _candidate(best: BestCheckpoint, text: str) -> None:
    """A state that says so, in the place of one that was written by training."""
    for path in (best.checkpoint, best.light):
        path.with_name(f".{path.name}.candidate.tmp").write_text(text)


def _settled(folder: Path, *scores: dict[str, Any], lower: bool = True) -> tuple[list[bool], str]:
    """Which of these were the best when they came, each to a new start of the run; and the state that is left."""
    kept = []
    for score in scores:
        best = BestCheckpoint(folder, "fvd", lower_is_better=lower)
        _candidate(best, f"state of update {score['updates']}")
        kept.append(best.settle(score))
    return kept, (folder / "best.ckpt").read_text()


def test_the_best_is_kept_over_starts_of_the_run(tmp_path: Path) -> None:
    scores = [_record(n, value) for n, value in enumerate([5.0, 6.0, 4.0, 4.0, math.nan])]
    assert _settled(tmp_path, *scores) == ([True, False, True, False, False], "state of update 2")
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "best.safetensors", "best.json"}
    assert (tmp_path / "best.safetensors").read_text() == "state of update 2"
    assert json.loads((tmp_path / "best.json").read_text()) == scores[2]


def test_where_more_is_better(tmp_path: Path) -> None:
    scores = [_record(n, value) for n, value in enumerate([5.0, 6.0, 4.0])]
    assert _settled(tmp_path, *scores, lower=False) == ([True, True, False], "state of update 1")


@pytest.mark.parametrize("changed", ["protocol", "protocol_hash", "detector_hash", "manifest_hash", "part"])
def test_a_value_that_was_measured_otherwise_does_not_count(
    tmp_path: Path, changed: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        kept, state = _settled(tmp_path, _record(0, 1.0, **{changed: "other"}), _record(1, 100.0))
    assert (kept, state) == ([True, True], "state of update 1")
    assert f"another {changed}" in caplog.text


def test_a_candidate_of_a_process_that_was_killed_goes_with_the_next_start(tmp_path: Path) -> None:
    _candidate(BestCheckpoint(tmp_path, "fvd", lower_is_better=True), "half")
    assert len(remove_stale(tmp_path)) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_is_the_state_and_its_light_generator(tmp_path: Path) -> None:
    trainer, model = tiny_gan.trainer(tmp_path, tiny_gan.StopAfter(1)), tiny_gan.gan()
    trainer.fit(model, tiny_gan.data())
    best = BestCheckpoint(tmp_path, "fvd", lower_is_better=True)
    best.write_candidate(trainer, model)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".best.ckpt.candidate.tmp", ".best.safetensors.candidate.tmp"}
    best.drop_candidate()
    best.drop_candidate()  # nothing is left to drop
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"value": "x"}', '{"value": null}', "[" * 100_000])
def test_a_damaged_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "best.json").write_text(text)
    with pytest.raises(InputError, match=r"best\.json: is damaged: remove it"):
        read_record(tmp_path / "best.json")


def test_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path / "best.json") is None
