from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from errors import InputError
from stylegan_v.callbacks import Checkpointing, Evaluation, GracefulStop
from stylegan_v.callbacks.scoring import measure as real_measure
from stylegan_v.metrics.collecting import Stopped
from stylegan_v.metrics.detectors import table
from tests.stylegan_v import quick_scores, tiny_gan

KIMG = 0.012  # frames of an update
EVERY_SECOND = 2 * KIMG
Measure = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(table, "load_detector", quick_scores.load_colours)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def _patch(monkeypatch: pytest.MonkeyPatch, measure: Measure) -> None:
    monkeypatch.setattr("stylegan_v.callbacks.scoring.measure", measure)


def _record(measurement: Any, value: float) -> dict[str, Any]:
    """What an evaluation of this value leaves on record."""
    hashes = dict.fromkeys(("protocol_hash", "detector_hash", "manifest_hash"), "0")
    rows = {"real": 0.25, "frozen": 2.0, "shuffled": 3.0, "reversed": 0.5, "num": 3}
    facts = {"spread": None, "part": "validation", "sanity": rows, "late": {"100": 4.0}}
    return {"protocol": measurement.protocol.name, "value": value, **hashes, **facts}


def _evaluation(folder: Path, name: str = "quick", **settings: Any) -> Evaluation:
    (folder / "protocols").mkdir(exist_ok=True)
    chosen = {"every_kimg": EVERY_SECOND, "background": False, **settings}
    return Evaluation([quick_scores.protocol(folder / "protocols", name)], **chosen)


def _train(folder: Path, updates: int, *callbacks: Callback, **settings: Any) -> dict[str, Any]:
    """Trains and gives back the weights."""
    model = tiny_gan.gan(augmented=True)
    tiny_gan.trainer(folder, *callbacks, tiny_gan.StopAfter(updates), **settings).fit(model, tiny_gan.data())
    return {name: value.clone() for name, value in model.state_dict().items()}


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# When, and at what cost.


def test_nothing_is_measured_where_no_protocol_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Worker", "Scoring", "load_measurements", "real_side"):
        monkeypatch.setattr(f"stylegan_v.callbacks.evaluation.{name}", None)
    _train(tmp_path, 3, Evaluation(every_kimg=KIMG))
    assert list(tmp_path.iterdir()) == []


def test_scores_come_every_so_many_frames_and_at_the_end(tmp_path: Path) -> None:
    _train(tmp_path, 5, _evaluation(tmp_path))
    lines = _lines(tmp_path)
    assert [(line["verb"], line["updates"], line["kimg"]) for line in lines] == [
        ("fit", 2, 0.024),
        ("fit", 4, 0.048),
        ("fit", 5, 0.06),
    ]
    assert [line["part"] for line in lines] == ["validation"] * 3
    assert [line["cached"] for line in lines] == [lines[0]["cached"], True, True]
    assert len({line["value"] for line in lines}) == 3  # of three states
    assert (tmp_path / "metrics.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("background", [True, False])
def test_weights_and_random_state_are_those_of_a_run_without_it(tmp_path: Path, background: bool) -> None:
    weights, states = [], []
    for i, callbacks in enumerate(([], [_evaluation(tmp_path, background=background, monitor="quick")])):
        torch.manual_seed(7)
        np.random.seed(7)
        folder = tmp_path / str(i)
        folder.mkdir()
        weights.append(_train(folder, 5, *callbacks))
        # Not that of `random`: the checks of types that tests switch on draw from it.
        states.append([torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()])
        assert torch.is_grad_enabled()
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    assert states[0] == states[1]
    assert _lines(tmp_path / "1")[-1]["updates"] == 5


def test_beside_training_the_scores_are_those_of_the_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the generator has moved on by the time they are computed."""
    values = {}
    for background in (False, True):
        folder = tmp_path / str(background)
        folder.mkdir()
        gate = threading.Event()

        def measure(*args: Any, gate: threading.Event = gate, background: bool = background) -> dict[str, Any]:
            assert gate.wait(60) or not background
            return real_measure(*args)

        gate.set() if not background else None
        _patch(monkeypatch, measure)
        _train(folder, 3, _evaluation(tmp_path, background=background), _At(3, gate.set))
        values[background] = [(line["updates"], line["value"], line["sanity"]) for line in _lines(folder)]
    assert values[True] == values[False]
    assert [updates for updates, *_ in values[True]] == [2, 3]


class _At(Callback):
    """Does something at the end of an update."""

    def __init__(self, updates: int, do: Callable[[], Any]) -> None:
        self.updates, self.do = updates, do

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        if pl_module.updates == self.updates:
            self.do()


def test_one_that_comes_too_early_is_left_out_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def measure(measurement: Any, *args: Any) -> dict[str, Any]:
        assert gate.wait(60)
        return _record(measurement, 1.0)

    _patch(monkeypatch, measure)
    with caplog.at_level("INFO"):
        _train(tmp_path, 7, _evaluation(tmp_path, background=True), _At(7, gate.set))
    assert [line["updates"] for line in _lines(tmp_path)] == [2, 7]
    said = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    assert said == [
        "evaluation: that of update 2 still runs and that of update 4 is left out, as will be others that come too "
        "early: a larger evaluation.every_kimg avoids it"
    ]


def test_a_resumed_run_keeps_the_rhythm(tmp_path: Path) -> None:
    _train(tmp_path, 3, Checkpointing(), _evaluation(tmp_path))
    model = tiny_gan.gan(augmented=True)
    trainer = tiny_gan.trainer(tmp_path, _evaluation(tmp_path), tiny_gan.StopAfter(6))
    trainer.fit(model, tiny_gan.data(), ckpt_path=tmp_path / "last.ckpt")
    assert [line["updates"] for line in _lines(tmp_path)] == [2, 3, 4, 6]


def test_the_share_of_time_it_took_is_said_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = TensorBoardLogger(tmp_path, "", "")
    with caplog.at_level("INFO"):
        _train(tmp_path, 4, _evaluation(tmp_path), logger=logger)
    assert "evaluation: held training for" in caplog.records[-1].getMessage()
    shares = _scalars(tmp_path, "metrics/held_share")
    assert sorted(shares) == [2, 4]
    assert all(0 < share < 1 for share in shares.values())


# What becomes of a score.


def _scalars(folder: Path, tag: str) -> dict[int, float]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {event.step: event.value for event in events.Scalars(tag)}


def test_curves_of_the_score_and_its_sanity_rows_at_the_step_of_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def measure(measurement: Any, *args: Any) -> dict[str, Any]:
        assert gate.wait(60)
        return _record(measurement, 1.5)

    _patch(monkeypatch, measure)
    logger = TensorBoardLogger(tmp_path, "", "")
    with caplog.at_level("INFO"):
        _train(tmp_path, 3, _evaluation(tmp_path, background=True), _At(3, gate.set), logger=logger)
    rows = {"": 1.5, "/floor": 0.25, "/frozen": 2.0, "/shuffled": 3.0, "/reversed": 0.5, "/from_100": 4.0}
    for row, value in rows.items():
        assert _scalars(tmp_path, f"metrics/quick{row}") == {2: value, 3: value}
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("update 2")]
    assert said == ["update 2: quick 1.5 (floor 0.25, frozen 2, shuffled 3, reversed 0.5)"]


@pytest.mark.parametrize(("kind", "best"), [("kernel: {}", 4), ("inception_score: {num_splits: 2}", 2)])
def test_the_best_state_is_kept_as_it_was_when_it_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, best: int
) -> None:
    values = iter([5.0, 3.0, 4.0])  # of updates 2, 4 and 5
    _patch(monkeypatch, lambda measurement, *_: _record(measurement, next(values)))
    path = quick_scores.protocol(tmp_path, "quick", kind)
    evaluation = Evaluation([path], every_kimg=EVERY_SECOND, monitor="quick", background=False)
    seen: dict[int, dict[str, Any]] = {}

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            seen[pl_module.updates] = {name: value.clone() for name, value in pl_module.state_dict().items()}

    _train(tmp_path, 5, Watch(), evaluation)
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert checkpoint["counters"]["updates"] == best
    for name, value in seen[best].items():
        assert torch.equal(checkpoint["state_dict"][name], value), name
    record = json.loads((tmp_path / "best.json").read_text())
    assert (record["updates"], record["protocol"]) == (best, "quick")
    assert list(tmp_path.glob(".*")) == []


def test_a_checkpoint_of_the_snapshot_although_training_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    values = {2: 1.0, 5: 2.0}

    def measure(measurement: Any, *args: Any) -> dict[str, Any]:
        assert gate.wait(60)
        return _record(measurement, values.pop(min(values)))

    _patch(monkeypatch, measure)
    _train(tmp_path, 5, _evaluation(tmp_path, background=True, monitor="quick"), _At(5, gate.set))
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["counters"]["updates"] == 2
    assert json.loads((tmp_path / "best.json").read_text())["updates"] == 2


class _NoLoopOfLightning(Callback):
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        raise AssertionError

    on_sanity_check_start = on_validation_model_zero_grad = on_validation_start


def test_lightnings_own_validation_stays_off_while_training(tmp_path: Path) -> None:
    _train(tmp_path, 3, _NoLoopOfLightning(), num_sanity_val_steps=2, val_check_interval=1)
    with pytest.raises(AssertionError):
        tiny_gan.trainer(tmp_path, _NoLoopOfLightning()).validate(tiny_gan.gan(), tiny_gan.data())


def test_what_was_found_before_ctrl_c_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(measurement: Any, generator: Any, real: Any, options: Any) -> dict[str, Any]:
        if measurement.protocol.name == "quick":
            return _record(measurement, 1.0)
        os.kill(os.getpid(), signal.SIGINT)
        while not options.stop():
            pass
        raise Stopped

    _patch(monkeypatch, measure)
    paths = [quick_scores.protocol(tmp_path, name) for name in ("quick", "slow")]
    _train(tmp_path, 1, GracefulStop(), Evaluation(paths, monitor="quick"))
    assert [line["protocol"] for line in _lines(tmp_path)] == ["quick"]
    assert json.loads((tmp_path / "best.json").read_text())["value"] == 1.0


# What goes wrong.


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("videos: too short"), "evaluation of update 2, quick: videos: too short"),
        (ZeroDivisionError("no"), "evaluation of update 2, quick: Traceback (most recent call last):"),
    ],
)
def test_a_failure_is_said_and_training_and_the_other_protocols_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    background: bool,
    error: Exception,
    said: str,
) -> None:
    def measure(measurement: Any, *args: Any) -> dict[str, Any]:
        if measurement.protocol.name == "quick":
            raise error
        return _record(measurement, 1.0)

    _patch(monkeypatch, measure)
    paths = [quick_scores.protocol(tmp_path, name) for name in ("quick", "other")]
    evaluation = Evaluation(paths, every_kimg=EVERY_SECOND, monitor="quick", background=background)
    _train(tmp_path, 3, evaluation)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings[0].splitlines()[0] == said
    assert len(warnings) == 2  # of updates 2 and 3
    assert [line["protocol"] for line in _lines(tmp_path)] == ["other", "other"]
    assert not (tmp_path / "best.ckpt").exists()
    assert list(tmp_path.glob(".*")) == []


def test_a_missing_feature_network_is_said_at_the_start_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(name: str, *args: Any, **settings: Any) -> Any:
        if name == "i3d":
            raise InputError("i3d: download it")
        return quick_scores.load_colours(name)

    monkeypatch.setattr(table, "load_detector", load)
    paths = [quick_scores.protocol(tmp_path, name, detector="i3d") for name in ("fvd", "kvd")]
    paths.append(quick_scores.protocol(tmp_path, "quick"))
    _train(tmp_path, 2, Evaluation(paths, monitor="fvd", background=False))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["evaluation: fvd, kvd left out: i3d: download it"]
    assert [line["protocol"] for line in _lines(tmp_path)] == ["quick"]
    assert not (tmp_path / "best.json").exists()


def test_what_can_never_be_measured_is_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [quick_scores.protocol(tmp_path, "long", num_frames=25), quick_scores.protocol(tmp_path, "quick")]
    _train(tmp_path, 1, Evaluation(paths, background=False))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("evaluation: long left out: long: SyntheticVideos: no video has 25 frames")
    assert [line["protocol"] for line in _lines(tmp_path)] == ["quick"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_evaluation_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    stopped = threading.Event()

    def measure(measurement: Any, generator: Any, real: Any, options: Any) -> dict[str, Any]:
        while not options.stop():
            assert not stopped.wait(0.01)
        stopped.set()
        raise Stopped

    _patch(monkeypatch, measure)
    callbacks = [
        GracefulStop(),
        Checkpointing(),
        _evaluation(tmp_path, background=True, monitor="quick"),
        _At(3, lambda: os.kill(os.getpid(), number)),
    ]
    model = tiny_gan.gan()
    trainer = tiny_gan.trainer(tmp_path, *callbacks)
    if number == signal.SIGTERM:
        with pytest.raises(SystemExit):
            trainer.fit(model, tiny_gan.data())
    else:
        trainer.fit(model, tiny_gan.data())
    assert stopped.is_set()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["counters"]["updates"] in (3, 4)
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "generator.safetensors", "protocols"}


def test_ctrl_c_while_the_last_scores_are_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(measurement: Any, generator: Any, real: Any, options: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        while not options.stop():
            pass
        raise Stopped

    _patch(monkeypatch, measure)
    stop = GracefulStop()
    _train(tmp_path, 1, stop, Checkpointing(), _evaluation(tmp_path, background=True, monitor="quick"))
    assert stop.stopped
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "generator.safetensors", "protocols"}


def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    path = quick_scores.protocol(tmp_path)
    with pytest.raises(InputError, match=r"evaluation\.monitor: fvd_16f is none of evaluation\.protocols \(quick\)"):
        Evaluation([path], monitor="fvd_16f")
    with pytest.raises(InputError, match="quick is there twice"):
        Evaluation([path, path])
    with pytest.raises(InputError, match="no fvd_17f"):
        Evaluation(["fvd_17f"])
    with pytest.raises(InputError, match="more than 0"):
        Evaluation(every_kimg=0)
    with pytest.raises(InputError, match="i4d: there is no such network"):
        _train(tmp_path, 1, Evaluation([path], detectors={"i4d": "i3d.pt"}))
    settings = {"max_epochs": None, "max_steps": 1, "limit_val_batches": 0}
    with pytest.raises(InputError, match="BoringModel has no averaged generator"):
        tiny_gan.trainer(tmp_path, Evaluation([path]), **settings).fit(BoringModel())
