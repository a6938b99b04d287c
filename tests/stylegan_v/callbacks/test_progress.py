from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.demos.boring_classes import BoringModel

from stylegan_v.callbacks import RunProgress
from stylegan_v.callbacks.counters import Counters
from stylegan_v.callbacks.progress import describe
from tests.stylegan_v import tiny_gan


def test_describe_says_kimg_time_left_speed_and_losses() -> None:
    earlier, now = Counters(10, 640, 1920, 12_000.0), Counters(20, 1280, 3840, 12_000.0)
    text = describe(earlier, now, 4.0, {"loss/g": 0.5, "loss/d": 1.23456})
    # 1920 frames in 4 s are 480 per second; 8160 frames are left.
    assert text == "update 20  kimg 3.840/12  ETA 0:00:17  160.0 clips/s  loss/g 0.5  loss/d 1.23"


def test_describe_leaves_out_what_is_not_known() -> None:
    assert describe(Counters(0, 0, 0, None), Counters(6, 0, 0, None), 2.0, {}) == "update 6  3.0 updates/s"
    assert describe(Counters(6, 0, 0, None), Counters(6, 0, 0, None), 0.0, {}) == "update 6"
    endless = describe(Counters(0, 0, 0, None), Counters(1, 10, 30_000, None), 1.0, {})
    assert endless == "update 1  kimg 30.0  10.0 clips/s"


def test_a_run_that_counts_updates_and_images_says_so() -> None:
    earlier, now = Counters(10, 0, 0, None, 160, 100), Counters(30, 0, 0, None, 480, 100)
    assert describe(earlier, now, 4.0, {}) == "update 30/100  ETA 0:00:14  80.0 images/s"


def test_a_log_file_gets_a_line_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    progress = RunProgress(line_seconds=1e9)
    trainer = tiny_gan.trainer(tmp_path, progress, tiny_gan.StopAfter(3), enable_progress_bar=True)
    trainer.fit(tiny_gan.gan(total_kimg=1.0), tiny_gan.data())
    first, last = [line for line in capsys.readouterr().err.splitlines() if line.startswith("update")]
    assert first.startswith("update 1  kimg 0.012/1  ETA ")
    assert last.startswith("update 3  kimg 0.036/1  ETA ")
    assert "  loss/g " in last and "  loss/d " in last


def test_a_terminal_gets_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = RunProgress(refresh_seconds=0.0)
    trainer = tiny_gan.trainer(tmp_path, progress, tiny_gan.StopAfter(2), enable_progress_bar=True)
    trainer.fit(tiny_gan.gan(total_kimg=0.048), tiny_gan.data())
    progress.print("a line", "above the bar")
    shown = capsys.readouterr().err
    assert " 25%|" in shown and " 50%|" in shown and "kimg 0.024/0.048" in shown
    assert "a line above the bar\n" in shown


def test_a_disabled_bar_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    progress = RunProgress(line_seconds=0.0)
    progress.disable()
    trainer = Trainer(
        accelerator="cpu", max_steps=2, callbacks=[progress], logger=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(BoringModel())
    progress.print("nothing")
    assert "update" not in capsys.readouterr().err
