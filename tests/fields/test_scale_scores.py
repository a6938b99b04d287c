from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from fields.scale_scores import ScaleScore, ScaleScores, side_by_side, to_bytes


def score(scale: float, ours: list[float], bicubic: list[float], source: str = "bicubic") -> ScaleScore:
    return ScaleScore(scale, source, *(torch.tensor(values, dtype=torch.float64) for values in (ours, bicubic)))


SCORES = ScaleScores(
    "div2k", (score(2.5, [30, 34], [28, 29]), score(4, [math.inf, 25], [math.inf, math.inf], "paired"))
)


def test_means_leave_out_exact_images() -> None:
    assert [one.means for one in SCORES.scores] == [(32.0, 28.5), (25.0, math.inf)]


def test_curves_say_images_protocol_and_source() -> None:
    assert dict(SCORES.scalars()) == {
        "psnr/2_images/div2k_of_bicubic_lr/x2.5": 32.0,
        "psnr_of_bicubic_enlargement/2_images/div2k_of_bicubic_lr/x2.5": 28.5,
        "psnr/2_images/div2k_of_paired_lr/x4": 25.0,
        "psnr_of_bicubic_enlargement/2_images/div2k_of_paired_lr/x4": math.inf,
    }


def test_the_record_is_plain() -> None:
    record = json.loads(json.dumps(SCORES.record(), allow_nan=False))
    assert record["protocol"] == "div2k" and record["num_images"] == 2
    assert record["scales"] == {
        "x2.5": {"psnr": 32.0, "bicubic": 28.5, "lr": "bicubic"},
        "x4": {"psnr": 25.0, "bicubic": None, "lr": "paired"},
    }


def test_the_table_has_a_line_per_scale() -> None:
    first, heads, *lines = SCORES.as_text().splitlines()
    assert first == "PSNR (dB), protocol div2k, mean over 2 images"
    assert heads.split()[:4] == ["scale", "ours", "bicubic", "gain"]
    assert [line.split() for line in lines] == [
        ["x2.5", "32.00", "28.50", "3.50", "bicubic"],
        ["x4", "25.00", "inf", "-inf", "paired"],
    ]


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Places (y, x) of a colour below the legend."""
    return np.argwhere((picture[46:] == colour).all(axis=2)) + np.array([46, 0])


def test_the_curve_rises_with_psnr_and_runs_over_the_logarithm_of_the_scale() -> None:
    scores = ScaleScores("plain", (score(2, [40], [20]), score(4, [30], [20]), score(8, [20], [20])))
    picture = np.asarray(scores.curve("title"))
    ours, bicubic = pixels_of(picture, (30, 100, 200)), pixels_of(picture, (200, 70, 40))
    left, middle, right = (58, 58 + (640 - 16 - 58) / 2, 640 - 16)
    for x, y in ((left + 2, 46), (middle, 46 + (360 - 40 - 46) / 2)):
        near = ours[np.abs(ours[:, 1] - x) <= 1, 0]
        assert abs(near.mean() - y) < 4
    assert np.ptp(bicubic[:, 0]) <= 8  # flat
    assert bicubic[:, 1].min() < left + 3 and bicubic[:, 1].max() > right - 5


@pytest.mark.parametrize("ours", [[math.inf], [30.0]])
def test_a_single_scale_and_exact_images_can_be_drawn(ours: list[float]) -> None:
    assert ScaleScores("plain", (score(4, ours, [20]),)).curve().size == (640, 360)


def test_middles_stand_side_by_side() -> None:
    images = [np.full((10, 20, 3), value, dtype=np.uint8) for value in (1, 2)]
    images[0][4, 9] = 7
    row = side_by_side(images, 6)
    assert row.shape == (6, 16, 3)
    assert row[2, 2].tolist() == [7] * 3 and (row[:, 6:10] == 255).all() and (row[:, 10:] == 2).all()
    assert side_by_side(images).shape == (10, 44, 3)


def test_colours_are_rounded_and_cut() -> None:
    image = torch.tensor([-0.1, 0.0, 0.5, 0.5 / 255, 1.5]).expand(3, 1, 5)
    assert to_bytes(image)[0, :, 0].tolist() == [0, 0, 128, 1, 255]
