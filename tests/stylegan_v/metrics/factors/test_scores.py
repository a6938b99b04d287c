from __future__ import annotations

import pytest
import torch

from stylegan_v.metrics.detectors.factors import FactorDetector, initialized
from stylegan_v.metrics.factors.clips import draw_batch
from stylegan_v.metrics.factors.scores import SANITY, Score, as_text, class_score, sanity, scores_of, value_score


def test_the_truth_scores_full_marks() -> None:
    truth = draw_batch(0, 0, 64, held_out=True).truth
    told = {name: value.nan_to_num() for name, value in truth.items()}
    for name, score in scores_of(told, truth).items():
        assert score.value == (0 if score.unit else 1), name
        assert score.chance > 0.01 if not score.unit else score.chance > 0, name


def test_classes_are_judged_where_the_clip_shows_one_only() -> None:
    truth = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])
    told = torch.tensor([[9.0, 0, 0], [0, 9, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
    assert class_score(told, truth) == Score(0.5, 0.5)


def test_values_are_judged_where_the_clip_shows_them_and_in_natural_units() -> None:
    truth = torch.tensor([[0.0], [4.0], [float("nan")]])
    score = value_score(torch.tensor([[1.0], [3.0], [100.0]]), truth, 0.5, "sides")
    assert score == Score(0.5, 1.0, "sides")


def test_what_no_clip_shows_has_no_score() -> None:
    assert class_score(torch.zeros(2, 3), torch.full((2, 3), 1 / 3)) == Score(0.0, 0.0)
    assert value_score(torch.zeros(2, 1), torch.full((2, 1), float("nan")), 1.0, "sides") == Score(0.0, 0.0, "sides")


def test_sanity_compares_other_clips_and_is_the_same_twice() -> None:
    detector = FactorDetector(initialized(0), "", {})
    found = sanity(detector, 0, 12)
    assert tuple(found) == SANITY and all(distance > 0 for distance in found.values())
    assert sanity(detector, 0, 12) == found


def test_tables_say_the_unit_and_the_ratio() -> None:
    text = as_text(
        {"shape": Score(0.875, 0.25), "speed": Score(0.0012, 0.014, "sides per frame")},
        {"floor": 0.5, "frozen": 10.0, "shuffled": 5.0, "reversed": 1.0},
    )
    lines = text.splitlines()
    assert lines[1].split() == ["shape", "87.5%", "25.0%", "right"]
    assert lines[2].split()[:5] == ["speed", "0.0012", "0.0140", "sides", "per"]
    assert [line.split()[-1] for line in lines[-4:]] == ["1", "20", "10", "2"]
    assert pytest.approx(10.0) == float(lines[-3].split()[1])
