"""What a fit saw and what it did not, measured apart: against figures computed from whole frames by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.acceptance_video import acceptance_video
from datasets.single_signal import SingleSignal
from fields.coords import at_index, centres
from fields.fitting.regions import Regions, draw, neighbours
from fields.nvp import NVP
from fields.siren_video import SirenVideo

SIZE = (6, 9, 7)


def hidden_signal(held_out: str | list[int] | None = None, truth_known: bool = True) -> SingleSignal:
    signal = SingleSignal(acceptance_video(6, (9, 7)))
    if held_out is not None:
        signal.hold_out(held_out)
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:4, 2:5, 1:3] = True
    signal.hide(mask, "mask")
    signal.truth_known = truth_known
    return signal


def decibels(result: torch.Tensor, target: torch.Tensor, places: torch.Tensor) -> float:
    return float(-10 * (result - target)[:, places].double().square().mean().log10())


def result_and_target(signal: SingleSignal) -> tuple[torch.Tensor, torch.Tensor]:
    result = torch.rand(6, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    return result, signal.frames(range(6)) / 255


def test_every_part_of_every_frame_has_its_own_figure() -> None:
    signal = hidden_signal("odd")
    result, target = result_and_target(signal)
    regions = Regions(signal)
    regions.add(range(4), result[:4], target[:4])
    regions.add(range(4, 6), result[4:], target[4:])
    mask, whole = signal.mask, torch.ones(9, 7, dtype=torch.bool)
    expected = {
        "visible": {k: decibels(result[k], target[k], ~mask[k]) for k in (0, 2, 4)},
        "hidden": {k: decibels(result[k], target[k], mask[k]) for k in (0, 2)},
        "held_out": {k: decibels(result[k], target[k], whole) for k in (1, 3)},  # 5 is beyond what is seen
    }
    assert {name: values.keys() for name, values in regions.found.items()} == {
        name: values.keys() for name, values in expected.items()
    }
    for name, values in expected.items():
        assert regions.found[name] == pytest.approx(values, abs=1e-4)
        figure = regions.record()["psnr"][name]
        assert figure["mean"] == pytest.approx(np.mean(list(values.values())), abs=1e-4)
        assert figure["std"] == pytest.approx(np.std(list(values.values()), ddof=1), abs=1e-4)
    record = regions.record()
    assert (record["held_out"], record["not_between_two_that_are_seen"]) == ([1, 3, 5], [5])
    guess = (target[0] + target[2]) / 2
    assert record["baselines"]["mean of the two neighbours"]["frames"]["1"] == pytest.approx(
        decibels(guess, target[1], whole), abs=1e-4
    )
    assert record["baselines"]["repeat of the one before"]["frames"]["3"] == pytest.approx(
        decibels(target[2], target[3], whole), abs=1e-4
    )
    figures = regions.figures(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), list(range(6)))
    assert figures["ssim_held_out"]["mean"] == pytest.approx(0.3)


def test_damage_is_not_measured_against() -> None:
    signal = hidden_signal(truth_known=False)
    result, target = result_and_target(signal)
    regions = Regions(signal)
    regions.add(range(6), result, target)
    assert set(regions.found) == {"visible"} and set(regions.figures(None, range(6))) == {"psnr_visible"}


def test_exact_parts_are_left_out_of_the_mean_and_counted() -> None:
    signal = hidden_signal()
    result, target = result_and_target(signal)
    result[0] = target[0]
    regions = Regions(signal)
    regions.add(range(6), result, target)
    found = regions.record()["psnr"]["visible"]
    assert found["exact_frames"] == 1 and found["frames"]["0"] == "inf" and np.isfinite(found["mean"])


def test_neighbours_are_the_nearest_that_are_seen() -> None:
    assert neighbours(3, (2, 3, 5), 8) == (1, 4)
    assert neighbours(7, (7,), 8) is None and neighbours(0, (0,), 8) is None


@pytest.mark.parametrize("make", [NVP, SirenVideo])
def test_a_field_of_the_even_frames_draws_odd_ones_half_way_between(make: type) -> None:
    signal = hidden_signal("odd")
    settings = {"levels": 2, "base": 4, "sparse_shape": [3, 4, 4], "width": 8} if make is NVP else {"hidden": (8,)}
    torch.manual_seed(0)
    field = make(signal.field_size, **settings)
    for parameter in field.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames = draw(field, signal, [0, 1, 4], 1000, torch.device("cpu"))
    assert torch.equal(frames[[0, 2]], field.render(centres(3)[[0, 2]], (9, 7)))  # bit for bit as it was fitted
    between = field.render(at_index(torch.tensor([0.5]), 3), (9, 7), **({"blend_time": True} if make is NVP else {}))
    assert torch.equal(frames[1:2], between)
