from __future__ import annotations

import pytest
import torch

from stylegan_v.networks.time_encoding import AcyclicEncoding, float64_device, locate, time_frequencies


def test_periods_are_log_spaced_between_the_longest_and_the_shortest() -> None:
    freqs = time_frequencies(3, 16, 1024)
    torch.testing.assert_close(freqs, 2 * torch.pi / torch.tensor([[1024.0, 128.0, 16.0]]))


def test_segments_keep_the_times_own_number_type() -> None:
    segments = locate(torch.tensor([[1_000_000_007]]), 16)
    assert segments.index.item() == 62_500_000
    assert segments.t_left.item() == 1_000_000_000 and segments.t_right.item() == 1_000_000_016
    assert segments.weight.item() == pytest.approx(7 / 16) and segments.weight.dtype == torch.float32
    assert segments.distance == 16


def test_weights_of_segments_are_as_fine_as_asked_for() -> None:
    t = torch.tensor([[1e7 + 1 / 3]], dtype=torch.float64)
    weight = locate(t, 16, torch.float64).weight
    assert weight.dtype == torch.float64 and weight.item() == pytest.approx(1 / 48, rel=1e-7)


def test_float64_is_computed_on_the_host_where_the_device_has_none() -> None:
    assert float64_device(torch.device("mps")) == torch.device("cpu")
    assert float64_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert float64_device(torch.device("cpu")) == torch.device("cpu")


def test_the_acyclic_encoding_follows_its_equation() -> None:
    encoding = AcyclicEncoding(3, 4, min_period=8, max_period=64).double()
    left, right = torch.randn(2, 1, 3, dtype=torch.float64)
    t = torch.tensor([[37.5]], dtype=torch.float64)  # between codes at 32 and 48
    gain = 3**-0.5
    speed = 1 + torch.tanh(left @ encoding.periods_predictor.weight.T * gain)
    phase = left @ encoding.phase_predictor.weight.T * gain * 64 * encoding.freqs / (2 * torch.pi)

    def waves(time: float) -> torch.Tensor:
        angle = encoding.freqs * speed * time + phase
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    alpha = 5.5 / 16
    aligners = [code @ encoding.aligners_predictor.weight.T * gain for code in (left, right)]
    removed = (1 - alpha) * waves(32) + alpha * waves(48)
    expected = waves(37.5) - removed + (1 - alpha) * aligners[0] + alpha * aligners[1]
    found = encoding(left, right, locate(t, 16, torch.float64))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)  # phase_scales are stored in float32


def test_what_a_code_decides_can_be_predicted_beforehand() -> None:
    encoding, segments = AcyclicEncoding(3, 4), locate(torch.tensor([[3.0, 20.0]]), 16)
    left, right = torch.randn(2, 2, 3)
    predicted = (encoding.predict(codes) for codes in (left, right))
    assert torch.equal(encoding.between(*predicted, segments), encoding(left, right, segments))
