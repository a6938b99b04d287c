from __future__ import annotations

from pathlib import Path

import pytest
from pytorch_lightning.demos.boring_classes import BoringModel

from errors import InputError
from stylegan_v.callbacks import cost
from stylegan_v.callbacks.cost import CostReport, lines, speed
from stylegan_v.callbacks.counters import Counters
from stylegan_v.cost import Cost, Phase, Work
from tests.stylegan_v.tiny_gan import StopAfter, data, gan, trainer

GIB = 2**30
PHASES = {
    "generator": Phase(Work([(3 * 10**9, 1)]), 2 * GIB),
    "discriminator": Phase(Work([(10**9, 1)]), GIB),
    "R1": Phase(Work([(16 * 10**9, 1)]), 3 * GIB, every=16),
}
COST = Cost({"generator": 2_000_000, "discriminator": 1_000_000}, PHASES, 2, 4 * GIB, GIB, 8 * GIB)


def test_operations_are_per_clip_and_rare_phases_count_by_their_share() -> None:
    assert COST.operations_per_clip == 2 * (3e9 + 1e9 + 1e9) / 2
    assert COST.fullest == "R1"


def test_the_cost_is_said_in_lines() -> None:
    said = "\n".join(lines(COST, batch_size=8, num_devices=2))
    assert "an update of 8 clips on 2 devices, 2 clips at a time" in said
    assert "generator 2 M, discriminator 1 M; together 3 M" in said
    assert "generator 3, discriminator 1, R1 16 (once in 16 updates); an update 5 on the average" in said
    assert (
        "about 8 GiB: weights, average, optimisers and clips 4, gradients 1, activations 3 (most in the phase R1"
        in said
    )


def test_speed_is_that_between_two_moments() -> None:
    earlier, now = Counters(1, 8, 24, 100_000.0), Counters(21, 168, 504, 100_000.0)
    said = speed(COST, earlier, now, seconds=48.0)
    # 480 frames in 48 s; 160 clips of 5 GFLOP in the same; 99 496 frames are left.
    assert (
        said == "speed over 20 updates: 864 kimg/day (10 frames/s, 0.0167 TFLOP/s of all devices together), 2.76 h left"
    )


def test_a_run_says_it_before_and_once_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, str]] = []
    model = gan()
    monkeypatch.setattr(cost, "MEASURED_UPDATES", 2)
    monkeypatch.setattr(cost, "cost_of", lambda *_: COST)
    monkeypatch.setattr(cost, "rank_zero_info", lambda text: said.append((model.updates, text.split()[0])))
    trainer(tmp_path, CostReport(), StopAfter(5)).fit(model, data())
    assert said == [(0, "cost"), (3, "speed")]


def test_only_video_gans_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--print_cost: counts video GANs; model is BoringModel"):
        trainer(tmp_path, CostReport(), fast_dev_run=1).fit(BoringModel())
