from __future__ import annotations

import numpy as np

from fields.reconstruction.measures import Needs, open_measures
from fields.reconstruction.report import Reconstruction, as_report
from fields.reconstruction.table import all_missing, as_text

MEASURES, _ = open_measures(["psnr", "ssim"], Needs())
COMPARED = {"reference": "originals", "result": "results"}


def video(name: str, psnr: list[float], ssim: list[float] | None) -> Reconstruction:
    frames = {"psnr": np.array(psnr, dtype=np.float64)} | (
        {} if ssim is None else {"ssim": np.array(ssim, dtype=np.float64)}
    )
    return Reconstruction(name, (8, 8), frames, {} if ssim else {"ssim": "ssim: too small"}, len(psnr))


def test_a_row_per_video_mean_and_spread() -> None:
    videos = [video("a", [20, np.inf, 30], [0.5, 1, 0.75]), video("bb", [35], None)]
    lines = as_text(as_report(videos, MEASURES, {}, COMPARED)).splitlines()
    assert lines[0] == "results beside originals"
    assert [line.split() for line in lines[2:7]] == [
        ["video", "frames", "psnr", "ssim"],
        ["a", "3", "25.0000", "0.7500"],
        ["bb", "1", "35.0000", "missing"],
        ["mean", "4", "30.0000", "0.7500"],
        ["+-", "7.0711", "-"],
    ]
    assert "worst frame of a: psnr 0, ssim 0" in lines
    assert "a: exact frames, left out of the mean PSNR: 1" in lines
    assert "bb: PSNR of the mean error is 35.0000, which is not the mean PSNR" in lines
    assert sum(line.startswith(("psnr: per frame", "ssim: per frame")) for line in lines) == 2


def test_a_single_video_has_no_spread() -> None:
    text = as_text(as_report([video("a", [20], [1])], MEASURES, {}, COMPARED))
    assert "+-" not in text and "\nmean" not in text


def test_all_that_is_missing_is_said_in_a_line_each() -> None:
    report = as_report([video("a", [20], None)], MEASURES, {"flip": "flip: not there"}, COMPARED)
    assert all_missing(report) == ["flip: not there", "a: ssim: too small"]
