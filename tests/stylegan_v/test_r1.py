"""The R1 gradient by differences against the exact one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.overrides import TorchFunctionMode

import train
from errors import InputError
from stylegan_v import losses
from stylegan_v.networks import Discriminator, ProjectionConditioning
from stylegan_v.r1 import DifferencesR1, ExactR1
from stylegan_v.recomputing import recompute
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter

TIMES = torch.tensor([[0, 3, 9], [0, 5, 8], [1, 2, 3], [0, 9, 15]])


class InDouble(TorchFunctionMode):
    """Lets the places that say float32 be float64."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return args[0].double() if func is Tensor.float else func(*args, **(kwargs or {}))


def gradient(r1: ExactR1, network: Discriminator, clip: Tensor, shares: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Of all parameters, flat in float64, and the penalty."""
    network.zero_grad()
    penalty = r1(lambda x: network(x, TIMES[: len(x)]), clip, shares, lambda loss, last: loss.backward())
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    return torch.cat([grad.double().flatten() for grad in found]), penalty


def difference(found: Tensor, exact: Tensor) -> float:
    return ((found - exact).norm() / exact.norm()).item()


def clips(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(4, 3, 3, 16, 16, dtype=dtype) * 2 - 1


@pytest.mark.parametrize("kind", ["hypernetwork", "projection"])
def test_differences_are_the_exact_gradient_up_to_the_rounding_of_float32(kind: str) -> None:
    network, clip = tiny_gan.discriminator(group_size=4), clips()
    if kind == "projection":
        settings = tiny_gan.discriminator_settings(group_size=4) | {
            "conditioning": ProjectionConditioning(num_frames=3, dim=8)
        }
        network = Discriminator(**settings)
    (exact, penalty), (found, logged) = (gradient(r1, network, clip) for r1 in (ExactR1(), DifferencesR1()))
    assert difference(found, exact) < 5e-4
    torch.testing.assert_close(logged, penalty, rtol=1e-5, atol=0)


def test_in_float64_the_error_falls_with_the_square_of_the_step() -> None:
    with InDouble():
        network, clip = tiny_gan.discriminator(group_size=4).double(), clips(torch.float64)
        exact, _ = gradient(ExactR1(), network, clip)
        errors = [difference(gradient(DifferencesR1(step), network, clip)[0], exact) for step in (0.004, 0.002, 0.001)]
    assert errors[0] < 1e-3 and errors[2] < 5e-5
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([4, 4], rel=0.2)


@pytest.mark.parametrize("step", [0.01, 1.0])
def test_of_clips_apart_any_step_is_exact(step: float) -> None:
    """Without minibatch standard deviation a network held on its pieces is linear in the clip."""
    network, clip = tiny_gan.discriminator(group_size=1), clips()
    exact, _ = gradient(ExactR1(), network, clip)
    assert difference(gradient(DifferencesR1(step), network, clip)[0], exact) < 1e-5


def test_across_kinks_differences_are_no_approximation() -> None:
    """Why activations are held: leaky ReLUs that change their piece between the points are most of the result."""
    network, clip = tiny_gan.discriminator(), clips()
    exact, _ = gradient(ExactR1(), network, clip)
    start = clip.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(start, TIMES).sum(), start)
    network.zero_grad()
    for part in losses.r1_differences(lambda x: network(x, TIMES), clip, slope, 0.001):
        part.backward()
    found = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in network.parameters()])
    assert difference(found.double(), exact) > 0.5


def test_what_clips_do_to_each_other_is_counted() -> None:
    """Minibatch standard deviation: the gradient of all clips together is not the sum of those of clips alone."""
    network, clip = tiny_gan.discriminator(), clips()[:2] * torch.tensor([1.0, 0.05])[:, None, None, None, None]
    exact, _ = gradient(ExactR1(), network, clip)
    alone = sum(gradient(ExactR1(), network, one[None])[0] for one in clip) / 2
    assert difference(alone, exact) > 0.05
    assert difference(gradient(DifferencesR1(), network, clip)[0], exact) < 0.01


def test_shares_weigh_clips_as_in_the_penalty() -> None:
    network, clip, shares = tiny_gan.discriminator(group_size=4), clips(), torch.tensor([1.0, 0.25, 0.0, 0.5])
    (exact, penalty), (found, logged) = (gradient(r1, network, clip, shares) for r1 in (ExactR1(), DifferencesR1()))
    assert difference(found, exact) < 0.01
    torch.testing.assert_close(logged, penalty, rtol=1e-5, atol=0)


def test_clips_without_a_slope_cost_nothing() -> None:
    network = tiny_gan.discriminator().requires_grad_(True)
    flat = lambda x: network(x * 0, TIMES)  # noqa: E731
    assert DifferencesR1()(flat, clips(), None, lambda loss, last: loss.backward()).item() == 0
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())


def test_exact_r1_is_the_penalty_of_the_losses_bit_for_bit() -> None:
    network, clip = tiny_gan.discriminator(), clips()
    found, penalty = gradient(ExactR1(), network, clip)
    network.zero_grad()
    here = clip.clone().requires_grad_()
    expected = losses.r1_penalty(network(here, TIMES), here)
    expected.backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    assert torch.equal(found, torch.cat([g.double().flatten() for g in grads])) and torch.equal(penalty, expected)


@pytest.mark.parametrize("step", [0.0, -1.0, float("inf"), float("nan")])
def test_a_step_that_is_none_is_refused(step: float) -> None:
    with pytest.raises(InputError, match=r"model\.r1\.step"):
        DifferencesR1(step)


# In training


def r1_of_a_run(folder: Path, r1: ExactR1 | None, **settings: Any) -> tuple[dict[str, Tensor], float]:
    """Gradients of the R1 phase of one update with augmentation, labels and groups of 4 clips, and the penalty."""
    data = tiny_gan.data(8, labelled=True)
    data.setup("fit")
    precision = settings.pop("precision", "32-true")
    network = settings.pop("discriminator", None) or tiny_gan.discriminator(data.c_dim, group_size=4)
    still = {"d_optimizer": partial(torch.optim.SGD, lr=0.0), "r1_every": 1, "discriminator": network}
    model = tiny_gan.gan(data.c_dim, made=RecordingGAN, augmented=True, r1=r1, **still, **settings)
    run = tiny_gan.trainer(folder, StopAfter(1), precision=precision)
    run.fit(model, data)
    names = [name for name, _ in model.discriminator.named_parameters()]
    return dict(zip(names, model.gradients["0/r1"], strict=True)), run.callback_metrics["loss/r1"].item()


@pytest.fixture(scope="module")
def exact_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], float]:
    return r1_of_a_run(tmp_path_factory.mktemp("exact"), None)


@pytest.mark.parametrize("settings", [{"num_micro_batches": 2, "freeze_d": 4}, {"precision": "bf16-mixed"}])
def test_a_run_takes_the_same_r1_step_with_augmentation_and_labels(
    tmp_path: Path, exact_run: tuple[dict[str, Tensor], float], settings: dict[str, Any]
) -> None:
    (exact, penalty), (found, logged) = exact_run, r1_of_a_run(tmp_path, DifferencesR1(), **settings)
    flat, expected = (torch.cat([one[name].double().flatten() for name in found]) for one in (found, exact))
    assert difference(flat, expected) < 0.005
    assert logged == pytest.approx(penalty, rel=1e-4)


def test_recomputed_activations_are_refused(tmp_path: Path) -> None:
    network = tiny_gan.discriminator(4)
    recompute(network.blocks)
    with pytest.raises(InputError, match=r"model\.r1: .* RecomputeActivations"):
        r1_of_a_run(tmp_path, DifferencesR1(), discriminator=network)
    ExactR1().check(network)


@pytest.mark.slow
def test_the_command_line_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Path(__file__).parents[2] / "configs" / "stylegan_v" / "tiny.yaml"
    flags = ["--model.r1=DifferencesR1", "--model.r1.step=0.002", "--model.total_kimg=0.012"]
    monkeypatch.setattr(sys, "argv", ["train.py"])
    train.main(["fit", "--config", str(tiny), "--runs_dir", str(tmp_path), "--trainer.callbacks=null", *flags])
    config = yaml.safe_load((tmp_path / "tiny" / "config.yaml").read_text())
    assert config["model"]["init_args"]["r1"] == {
        "class_path": "stylegan_v.r1.DifferencesR1",
        "init_args": {"step": 0.002},
    }
    checkpoint = torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)
    assert checkpoint["counters"]["updates"] == 1
