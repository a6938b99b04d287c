"""Figures of fits to points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.point_signal import of_picture, of_samples
from fields.fitting.point_record import figures


def test_psnr_of_a_picture_is_of_values_between_0_and_1() -> None:
    signal = of_picture(np.zeros((4, 4, 3), dtype=np.uint8), "a", every=2)
    found = signal.values.clone()
    found[signal.trained] += 0.2  # 0.1 of the values between 0 and 1
    line = figures(signal, found)
    assert line["psnr_trained"] == pytest.approx(20) and line["psnr_held_out"] is None
    assert line["mse"] == pytest.approx(0.01 / 4) and line["psnr"] == pytest.approx(20 + 10 * np.log10(4))


def test_psnr_of_samples_is_of_their_range() -> None:
    signal = of_samples(np.arange(3.0), np.array([0.0, 10.0, 5.0]), "s")
    line = figures(signal, signal.values + torch.tensor([[1.0], [1.0], [-1.0]]))
    assert line == {"mse": pytest.approx(1), "psnr": pytest.approx(20)}
