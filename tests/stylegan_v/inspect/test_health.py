from __future__ import annotations

import math

import pytest
import torch

from stylegan_v.inspect.contents import OptimizerFacts
from stylegan_v.inspect.health import Mark, generator_marks, run_marks, tensor_marks
from stylegan_v.inspect.tensors import row
from tests.stylegan_v import tiny_gan


def marks_of(name: str, tensor: torch.Tensor, parameter: bool | None = True) -> list[Mark]:
    return tensor_marks([row("generator", name, tensor, parameter)])


def test_untrained_networks_are_sound() -> None:
    networks = {"generator": tiny_gan.generator(), "discriminator": tiny_gan.discriminator()}
    for network, module in networks.items():
        moved = {name for name, _ in module.named_parameters()}
        rows = [row(network, name, tensor, name in moved) for name, tensor in module.state_dict().items()]
        assert tensor_marks(rows) == []


def test_values_that_are_not_finite_are_marked_wherever_they_are() -> None:
    for name, parameter in (("synthesis.const", True), ("mapping.w_avg", False), ("mapping.layers.0.bias", None)):
        (mark,) = marks_of(name, torch.tensor([1.0, math.nan, math.inf]), parameter)
        assert (mark.level, mark.where) == ("bad", f"generator.{name}")
        assert mark.what == "2 of 3 values are NaN or infinite"


def test_zero_is_marked_where_training_never_starts_from_it() -> None:
    (mark,) = marks_of("synthesis.b4.conv1.weight", torch.zeros(3))
    assert "all zero" in mark.what
    for name in ("fromrgb.bias", "convs.0.noise_strength", "rnn.bias_ih_l0"):
        assert marks_of(name, torch.zeros(3)) == []
    assert marks_of("fourier_coefs", torch.zeros(3), False) == []


def test_what_counts_is_not_taken_for_what_moves() -> None:
    for name in ("ada.updates", "mean_path_length", "mapping.w_avg", "freqs"):
        assert marks_of(name, torch.zeros(3), None) == marks_of(name, torch.full((3,), 446.0), None) == []
    for name in ("a.weight", "b.bias", "const"):
        assert len(marks_of(name, torch.full((3,), 446.0), None)) == 1
    assert len(marks_of("a.weight", torch.zeros(3), None)) == 1


@pytest.mark.parametrize(
    "name, start",
    [
        ("synthesis.blocks.b4.convs.0.weight", 1),
        ("mapping.layers.0.weight", 100),
        ("conditioning.mapping.layers.1.weight", 100),
        ("mapping.fc0.weight", 100),
        ("synthesis.motion.conv.0.weight", 100),
        ("synthesis.motion_encoder.conv.1.weight", 100),
    ],
)
def test_size_is_judged_by_what_training_starts_from(name: str, start: float) -> None:
    assert marks_of(name, torch.full((4,), 99.0 * start)) == []
    (mark,) = marks_of(name, torch.full((4,), -101.0 * start))
    assert mark.level == "bad" and "exploding" in mark.what
    assert marks_of(name, torch.full((4,), 101.0 * start), False) == []


def test_mean_style_that_was_never_tracked() -> None:
    zero, moved = {"mapping.w_avg": torch.zeros(2)}, {"mapping.w_avg": torch.ones(2)}
    (mark,) = generator_marks(None, zero, 10)
    assert (mark.level, mark.where) == ("bad", "mapping.w_avg")
    assert generator_marks(zero, None, 0)[0].level == "note"
    assert generator_marks(zero, moved, 10) == []  # the averaged one is what draws


def test_average_that_never_moved() -> None:
    raw = {"mapping.w_avg": torch.ones(2), "synthesis.const": torch.randn(3)}
    moved = {**raw, "synthesis.const": raw["synthesis.const"] + 1e-6}
    (mark,) = generator_marks(raw, dict(raw), 100)
    assert mark.level == "bad" and "never averaged" in mark.what
    assert generator_marks(raw, dict(raw), None)[0].level == "bad"
    assert generator_marks(raw, dict(raw), 1)[0].level == "note"
    assert generator_marks(raw, moved, 100) == generator_marks(raw, None, 100) == []


def test_what_a_run_says_of_itself() -> None:
    optimizer = OptimizerFacts("discriminator", None, {}, 3, 1, not_finite=7)
    sound = OptimizerFacts("generator", None, {}, 3, 1, not_finite=0)
    found = run_marks({"augment_p": 0.85}, {"r1": 3, "generator": 0}, [sound, optimizer])
    assert [(mark.level, mark.where) for mark in found] == [
        ("note", "augment p"),
        ("bad", "phase r1"),
        ("bad", "optimiser of discriminator"),
    ]
    assert "last 3 steps" in found[1].what and "7 values" in found[2].what
    assert run_marks({"augment_p": 0.8}, {}, []) == run_marks({}, {}, []) == []
