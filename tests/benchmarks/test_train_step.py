"""The benchmark of the training step: how it scores, and that every phase runs."""

from __future__ import annotations

import json

import jaxtyping
import pytest
import torch

from benchmarks import train_step as bench
from stylegan_v.compiling import Compilation

PHASES = ["forward", "G", "D", "R1", "optimizers", "EMA"]


def test_scores_follow_the_recorded_table() -> None:
    product = bench.Timing(seconds=1.0, cpu_seconds=2.0, multiply_adds=187.0 / 2)  # as fast as the recorded one
    phases = {"G": bench.Timing(13.8 / 3, 25.6 / 4, 1.0), "EMA": bench.Timing(1.0, 1.0, 0.0)}
    bench.add_scores(phases, [product, product], bench.ORIGINAL[256, 2, 3])
    assert phases["G"].score == pytest.approx(3)
    assert phases["G"].cpu_score == pytest.approx(4)
    assert phases["EMA"].score is None


@pytest.mark.parametrize("conditioning", ["projection", "hypernetwork"])
def test_every_phase_touches_what_it_should(conditioning: str) -> None:
    step = bench.build(32, 2, 2, device=torch.device("cpu"), conditioning=conditioning, channel_base=128)
    assert list(step.phases()) == PHASES

    step.update_generator()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in step.generator.parameters())
    assert all(parameter.grad is None for parameter in step.discriminator.parameters())
    step.update_discriminator()
    main = [parameter.grad.clone() for parameter in step.discriminator.parameters()]
    assert all(gradient.isfinite().all() for gradient in main)
    step.update_r1()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in step.discriminator.parameters())

    before = [parameter.clone() for parameter in step.generator.parameters()]
    step.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, step.generator.parameters(), strict=True)]
    assert any(moved)
    averaged = step.generator_ema.synthesis.const.clone()
    step.update_ema()
    torch.testing.assert_close(
        step.generator_ema.synthesis.const, averaged.lerp(step.generator.synthesis.const.detach(), 0.002)
    )


def test_command_prints_a_table_and_json(capsys: pytest.CaptureFixture) -> None:
    bench.main(["--resolution=32", "--batch=2", "--frames=2", "--repeats=1", "--channel_base=128", "--device=cpu"])
    printed = capsys.readouterr()

    report = json.loads(printed.out)
    assert list(report["phases"]) == PHASES
    assert all(timing["seconds"] > 0 and timing["score"] is None for timing in report["phases"].values())
    parts = {name: timing["seconds"] for name, timing in report["phases"].items()}
    expected = parts["G"] + parts["D"] + parts["R1"] / 16 + parts["optimizers"] + parts["EMA"]
    assert report["update_seconds"] == pytest.approx(expected)
    assert report["clips_per_second"] == pytest.approx(2 / expected)
    assert report["peak_memory_gib"] > 0
    for name in PHASES:
        assert name in printed.err


def test_an_unknown_flag_is_refused_by_name(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--resolutoin=16"])
    assert "resolutoin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--resolution=48", "resolution 48: give a power of two from 32"),
        ("--batch=0", "batch, frames"),
        ("--repeats=0", "repeats"),
        ("--phases=[g]", "phases ['g']: give some of forward, G"),
        ("--device=nonsense", "device 'nonsense'"),
        ("--compile=nonsense", "compile: Expected"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    flag: str, complaint: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main([flag])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and complaint in said and len(said.splitlines()) == 1


@pytest.fixture
def _graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of shapes are Python that no graph can hold."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.slow
@pytest.mark.usefixtures("_graphs")
def test_compiled_networks_are_measured_beside_themselves(capsys: pytest.CaptureFixture) -> None:
    sizes = ["--resolution=32", "--batch=2", "--frames=2", "--repeats=1", "--channel_base=64", "--device=cpu"]
    bench.main([*sizes, "--phases=[forward,R1]", "--compile=default", "--backend=eager"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert list(report["compiled"]) == ["forward"] and list(report["phases"]) == ["forward", "R1"]
    found = report["compiled"]["forward"]
    assert found["ratio"] == pytest.approx(found["plain_seconds"] / found["compiled_seconds"])
    assert found["first_seconds"] > 10 * found["compiled_seconds"]  # it was compiled, then
    assert "compiled (eager, default)" in printed.err


@pytest.mark.slow
@pytest.mark.usefixtures("_graphs")
def test_compiling_takes_nothing_from_gradients() -> None:
    """Nor do gradients that are kept in the same memory, as replayed graphs need them."""
    step = bench.build(32, 2, 2, device=torch.device("cpu"), channel_base=64)
    torch.manual_seed(0)
    step.update_discriminator()
    expected = [parameter.grad for parameter in step.discriminator.parameters()]
    step.compile(Compilation("eager"))
    step.keeps_gradients = True
    torch.manual_seed(0)
    step.update_discriminator()
    assert all(
        torch.equal(p.grad, torch.zeros_like(p) if grad is None else grad)
        for p, grad in zip(step.discriminator.parameters(), expected, strict=True)
    )
