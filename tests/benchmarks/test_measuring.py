from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks import measuring
from errors import InputError


def test_multiply_adds_of_a_convolution_and_its_backward_passes() -> None:
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, requires_grad=True)
    once = 2 * 5 * 8 * 8 * 3 * 9
    with measuring.MultiplyAdds() as counter:
        out = F.conv2d(x, weight, padding=1)
    assert counter.total == once
    with measuring.MultiplyAdds() as counter:
        torch.autograd.grad(out.sum(), (x, weight))
    assert counter.total == 2 * once


def test_score_is_the_speed_in_units_of_the_matrix_product() -> None:
    # Half the time on a machine of the same speed is twice as fast; on one of twice the speed it is a draw.
    assert measuring.score(5.0, 187.0, 10.0, 187.0) == pytest.approx(2)
    assert measuring.score(5.0, 374.0, 10.0, 187.0) == pytest.approx(1)


def test_median_of_the_calls_and_one_to_warm_up() -> None:
    calls = []
    timing = measuring.measure(
        lambda: calls.append(torch.ones(4, 5) @ torch.ones(5, 6)), torch.device("cpu"), repeats=3
    )
    assert len(calls) == 1 + 3
    assert timing.multiply_adds == pytest.approx(4 * 5 * 6 / 1e9)
    assert timing.seconds > 0


def test_matrix_product_counts_its_multiply_adds() -> None:
    assert measuring.measure_product(torch.device("cpu"), side=64).multiply_adds == pytest.approx(64**3 / 1e9)


def test_interleaved_calls_take_turns_and_each_round_begins_with_another() -> None:
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    found = measuring.interleaved(calls, torch.device("cpu"), rounds=4)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert all(second >= 0 for seconds in found.values() for second in seconds)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert measuring.choose_device("auto") == measuring.choose_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "nonsense", "meta"):
        with pytest.raises(InputError, match=f"device '{name}'.*give cpu, cuda or auto"):
            measuring.choose_device(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert measuring.choose_device("auto") == torch.device("cuda")
    with pytest.raises(InputError, match="there are 1 CUDA devices"):
        measuring.choose_device("cuda:1")
