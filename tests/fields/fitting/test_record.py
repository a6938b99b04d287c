"""What is measured of a fit: how frames are cut changes nothing, and who asks to stop is heard."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datasets.signal_datamodule import SyntheticSignal
from fields.fitting import record as fitting_record
from fields.fitting.record import FitRecord
from fields.siren_video import SirenVideo


def fit(folder: Path) -> Any:
    """What a record asks of a fit."""
    data = SyntheticSignal(5, (9, 7))
    data.setup("fit")
    trainer = SimpleNamespace(is_global_zero=True, default_root_dir=str(folder), loggers=[])
    guard = SimpleNamespace(restores=2)
    model = SirenVideo((5, 9, 7), (8,))
    return SimpleNamespace(data=data, trainer=trainer, guard=guard, model=model, updates=3, device=torch.device("cpu"))


@pytest.mark.parametrize(("chunk", "together"), [(1, 1), (10, 130), (63, 2**21)])
def test_cutting_changes_no_figure(chunk: int, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting_record, "_TOGETHER", together)
    fitting = fit(tmp_path)
    found, _, _ = FitRecord(2, chunk).measure(fitting, range(5), False, shown := {}, lambda: False)
    frames = fitting.model.render(torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8]), (9, 7)).double()
    error = (frames / 2 + 0.5).clamp(0, 1) - fitting.data.signal.frames(range(5)).double() / 255
    assert found.frames["psnr"] == pytest.approx((-10 * error.square().mean((1, 2, 3)).log10()).numpy(), abs=1e-4)
    assert set(found.frames) == {"psnr", "ssim"} and sorted(shown) == list(range(5))


def test_some_frames_are_spread_evenly_and_say_so(tmp_path: Path) -> None:
    words = FitRecord(3, 100).take(fit(tmp_path), False, lambda: False)
    assert words is not None and words.startswith("update 3:  psnr ") and words.endswith("(3 frames)")
    assert not (tmp_path / "reconstruction.json").exists()
    line = json.loads((tmp_path / "validation.jsonl").read_text())
    count = 3 * 8 + 8 + 8 * 3 + 3
    assert (line["returns"], line["parameters"], line["bits"]) == (2, count, 32 * count)


def test_an_exact_frame_is_left_out_and_counted(tmp_path: Path) -> None:
    fitting = fit(tmp_path)
    frames = torch.tensor([-1.0, -0.8])[:, None, None, None].expand(2, 3, 9, 7)
    fitting.model = SimpleNamespace(render=lambda t, size, chunk: frames[: len(t)])
    fitting.data.signal.pixels.zero_()
    found, _, _ = FitRecord(2, 10).measure(fitting, range(2), False, {}, lambda: False)
    figures = fitting_record._figures(found)["psnr"]
    assert (figures["exact_frames"], figures["std"]) == (1, None)
    assert figures["mean"] == pytest.approx(20, abs=1e-4)


def test_who_asks_to_stop_gets_nothing_kept(tmp_path: Path) -> None:
    assert FitRecord(3, 100).take(fit(tmp_path), True, lambda: True) is None
    assert not list(tmp_path.iterdir())
