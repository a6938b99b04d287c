from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import liif_tiny
from benchmarks.liif_tiny import Row, as_text, failures, measure, shaved_psnr
from datasets.image_collections import MadeImages
from datasets.image_pairs import whole_pair
from datasets.synthetic_images import FAMILIES


class Nearest(nn.Module):
    """Enlarges pixels."""

    def render(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(image, size, mode="nearest-exact")


def rows(gains: dict[tuple[float, str], float]) -> list[Row]:
    """Just good enough, but for some."""
    keys = [(scale, family) for scale in (2.5, 4.0, 6.0) for family in (*FAMILIES, "all")]
    enough = dict.fromkeys(keys, 0.0) | {(4.0, "all"): 1.5}
    return [Row(*key, 20 + {**enough, **gains}[key], 20) for key in keys]


def test_psnr_leaves_out_as_many_pixels_as_the_scale_says() -> None:
    truth = torch.zeros(1, 3, 20, 20)
    result = truth + 0.1
    result[..., :3, :] = result[..., -3:, :] = result[..., :3] = result[..., -3:] = 1
    assert shaved_psnr(result, truth, 2.5) == pytest.approx(20, abs=1e-5)
    assert shaved_psnr(result, truth, 2) < 19


def test_what_is_measured_is_the_mean_over_the_images() -> None:
    found = {(row.scale, row.family): row for row in measure(Nearest(), (1, 2))}
    assert len(found) == 5 * 4
    for scale in (2.5, 4.0):
        means = {}
        for family in FAMILIES:
            images, values = MadeImages((1, 2), (128, 128), [family]), []
            for number in range(2):
                small, large = whole_pair(images.read(number), scale)
                drawn = Nearest().render(torch.tensor(small).permute(2, 0, 1)[None].double(), large.shape[:2])
                shave = math.ceil(scale)
                difference = (drawn[0].permute(1, 2, 0).numpy() - large)[shave:-shave, shave:-shave] / 255
                values.append(-10 * math.log10((difference**2).mean()))
            means[family] = np.mean(values)
            assert found[scale, family].ours == pytest.approx(means[family], abs=1e-3)
        assert found[scale, "all"].ours == pytest.approx(np.mean(list(means.values())), abs=1e-3)


def test_what_must_be_shown() -> None:
    assert failures(rows({})) == []
    assert failures(rows({(4.0, "all"): 1.49})) == ["x4 all: +1.49 dB, not +1.50"]
    assert failures(rows({(4.0, "all"): 0.6}), gain=0.5) == []
    for scale, family in [(4.0, "text"), (4.0, "gratings"), (4.0, "shapes"), (2.5, "all"), (6.0, "all")]:
        assert failures(rows({(scale, family): -0.01})) == [f"x{scale:g} {family}: -0.01 dB, not +0.00"]
    assert failures(rows({(6.0, "text"): -1.0, (2.5, "shapes"): -1.0})) == []
    assert len(failures(rows({(4.0, "all"): math.nan}))) == 1


def test_the_table_has_a_line_per_scale() -> None:
    table = as_text([Row(s, f, 21.5, 20.25) for s in liif_tiny.SCALES for f in (*FAMILIES, "all")])
    heads, _, *lines = table.splitlines()
    assert heads.split() == ["scale", *FAMILIES, "all"]
    assert [line.split()[0] for line in lines] == ["x2", "x2.5", "x3", "x4", "x6"]
    assert lines[0].split()[1:] == ["21.50", "20.25", "+1.25"] * 4


def test_a_run_is_trained_measured_and_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    config = tmp_path / "quick.yaml"
    text = liif_tiny.CONFIG.read_text().replace("scales: [2, 2.5, 3, 4, 6]", "scales: [6]")
    config.write_text(text.replace("num_seeds: 1000", "num_seeds: 2").replace("num_workers: 1", "num_workers: 0"))
    monkeypatch.setattr(liif_tiny, "CONFIG", config)
    monkeypatch.setattr(liif_tiny, "measure", lambda model, pictures: measure(model, (1,), pictures))
    results = []
    for _ in range(2):
        with pytest.raises(SystemExit) as end:  # one update is no training
            liif_tiny.main(["--run", str(tmp_path / "run"), "--updates", "1"])
        assert end.value.code == 1
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["seconds"] > 0 and results[0]["cpu_seconds"] > 0 and "seconds" not in results[1]
    assert results[0]["rows"] == results[1]["rows"] and results[0]["failures"]
    assert len(list((tmp_path / "run" / "samples").glob("x4_*.png"))) == 3


@pytest.mark.slow
def test_a_short_run_beats_bicubic_enlargement_at_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the run, with the steps of the learning rate at the same shares of it."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    steps, fewer = "[4000, 7000, 9000, 10500]", "[800, 1400, 1800, 2100]"
    config = liif_tiny.CONFIG.read_text()
    assert steps in config
    monkeypatch.setattr(liif_tiny, "CONFIG", tmp_path / "short.yaml")
    liif_tiny.CONFIG.write_text(config.replace(steps, fewer))
    liif_tiny.train(tmp_path / "run", 2400)
    gains = {(row.scale, row.family): row.gain for row in measure(liif_tiny.load_field(tmp_path / "run"))}
    assert gains[4.0, "all"] > 0.75, gains
    assert gains[6.0, "all"] > 0, gains
    assert gains[4.0, "gratings"] > 2, gains
