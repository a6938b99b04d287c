from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CSVLogger

from stylegan_v.callbacks import Throughput, throughput
from stylegan_v.callbacks.counters import Counters
from stylegan_v.callbacks.throughput import rates
from tests.stylegan_v import tiny_gan

ROOT = Path(__file__).resolve().parents[3]


def test_rates_are_counts_over_seconds() -> None:
    assert rates(Counters(2, 8, 24, None), Counters(12, 48, 144, None), 4.0, 1.0) == {
        "throughput/updates_per_second": 2.5,
        "throughput/clips_per_second": 10.0,
        "throughput/frames_per_second": 30.0,
        "throughput/data_wait_share": 0.25,
    }
    assert rates(Counters(2, 0, 0, None, 32), Counters(12, 0, 0, None, 192), 4.0, 1.0) == {
        "throughput/updates_per_second": 2.5,
        "throughput/images_per_second": 40.0,
        "throughput/data_wait_share": 0.25,
    }
    assert rates(Counters(0, 0, 0, None), Counters(1, 0, 0, None), 2.0, 3.0) == {
        "throughput/updates_per_second": 0.5,
        "throughput/data_wait_share": 1.0,
    }


def test_waiting_is_the_time_between_an_update_and_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])
    callback, gan, logger = Throughput(every_updates=2), tiny_gan.gan(), MagicMock()
    trainer: Any = MagicMock(spec=Trainer, loggers=[logger])
    trainer.strategy.root_device = torch.device("cpu")
    callback.on_train_start(trainer, gan)
    for waits, works in ((1.0, 4.0), (2.0, 3.0), (5.0, 5.0), (0.0, 10.0)):
        now[0] += waits
        callback.on_train_batch_start(trainer, gan, None, 0)
        now[0] += works
        gan.updates, gan.num_clips, gan.num_frames = gan.updates + 1, gan.num_clips + 5, gan.num_frames + 10
        callback.on_train_batch_end(trainer, gan, None, None, 0)
    logged = [(call.kwargs["step"], call.args[0]) for call in logger.log_metrics.call_args_list]
    assert [step for step, _ in logged] == [2, 4]
    assert [values["throughput/clips_per_second"] for _, values in logged] == [1.0, 0.5]
    assert [values["throughput/frames_per_second"] for _, values in logged] == [2.0, 1.0]
    assert [values["throughput/data_wait_share"] for _, values in logged] == [0.3, 0.25]


_HOLDS_AND_LETS_GO = """
import torch
from stylegan_v.callbacks.throughput import memory

def now():
    (name, gib), = memory(torch.device("cpu")).items()
    print(name, gib * 2**10)

now()
held = torch.ones(256 << 20, dtype=torch.uint8)  # more than importing and counting move by
now()
del held
now()
"""


def test_memory_is_what_is_held_now() -> None:
    # In a process of its own: here, other tests decide what is free to be used again.
    done = subprocess.run([sys.executable, "-c", _HOLDS_AND_LETS_GO], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names, mib = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert set(names) == {"memory/process_gib"}
    before, holding, after = map(float, mib)
    assert holding - before == pytest.approx(256, abs=64)
    if sys.platform == "linux":  # elsewhere the largest size so far
        assert after - before == pytest.approx(0, abs=64)


def test_curves_of_a_run(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = tiny_gan.trainer(tmp_path, Throughput(2), tiny_gan.StopAfter(5), logger=logger)
    trainer.fit(tiny_gan.gan(), tiny_gan.data())
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["throughput/clips_per_second"]]
    assert [row["step"] for row in rows] == ["2", "4"]
    for row in rows:
        clips, frames = (float(row[f"throughput/{name}_per_second"]) for name in ("clips", "frames"))
        assert frames == pytest.approx(3 * clips)
        assert 0 < float(row["throughput/data_wait_share"]) < 1
