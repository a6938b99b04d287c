from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from benchmarks.fit import figures, main, make_zip
from datasets.labels import labels_from_json

SAID = """
  memory per device: about 7.06 GiB: weights, average, optimisers and clips 0.9, gradients 0.2
speed over 20 updates: 1.234e+04 kimg/day (142.8 frames/s, 52.1 TFLOP/s of all devices together), 3 h left
"""


def test_figures_are_what_a_run_says_of_itself() -> None:
    names = ("updates", "kimg_per_day", "frames_per_second", "teraflops", "estimated_gib")
    assert figures(SAID) == dict(zip(names, (20, 12340.0, 142.8, 52.1, 7.06), strict=True))
    with pytest.raises(RuntimeError, match="did not say how fast it was: nothing"):
        figures("nothing")


def test_videos_lie_in_folders_of_a_zip(tmp_path: Path) -> None:
    make_zip(tmp_path / "videos.zip", 16, videos=2, length=3)
    with zipfile.ZipFile(tmp_path / "videos.zip") as archive:
        assert archive.namelist() == [f"{i}/{n:06d}.jpg" for i in range(2) for n in range(3)]
        assert archive.read("0/000000.jpg")[:2] == b"\xff\xd8"


def test_labels_count_as_many_classes_as_the_config_has(tmp_path: Path) -> None:
    make_zip(tmp_path / "videos.zip", 16, videos=2, length=1, classes=77)
    found = labels_from_json(tmp_path / "videos.zip", ["0", "1"])
    assert found.num_classes == 77 and found.of == {"0": 76, "1": 0}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [(["--batch", "0"], "numbers above 0"), (["--config", "none.yaml"], "there is no such file")],
)
def test_what_cannot_be_run_is_refused(flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(flags)
    assert stopped.value.code == 2 and complaint in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_measured_with_its_loader(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--resolution", "64", "--batch", "2", "--videos", "2", "--config", "configs/stylegan_v/real_tiny.yaml"]
    narrow = [f"--model.{name}.channel_base=128" for name in ("generator", "discriminator")]
    main([*sizes, "--flags", json.dumps([*narrow, "--model.discriminator.mbstd_group_size=2"])])
    found = json.loads(capsys.readouterr().out)
    assert found["updates"] == 20 and found["frames_per_second"] > 0 and found["batch"] == 2
    assert found["kimg_per_day"] == pytest.approx(found["frames_per_second"] * 86.4, rel=1e-2)
