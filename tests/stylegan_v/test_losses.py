"""Losses against closed forms and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_v import losses


def test_undecided_discriminator_costs_two_log_two() -> None:
    logits = torch.zeros(4)
    assert losses.discriminator_loss(logits, logits).item() == pytest.approx(2 * math.log(2))


def test_losses_are_minus_log_probabilities() -> None:
    real, fake = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    torch.testing.assert_close(losses.generator_loss(fake), -torch.sigmoid(fake).log().mean())
    torch.testing.assert_close(losses.real_loss(real), -torch.sigmoid(real).log().mean())
    torch.testing.assert_close(losses.fake_loss(fake), -(1 - torch.sigmoid(fake)).log().mean())


def test_the_two_halves_of_the_discriminator_loss_add_up() -> None:
    real, fake = torch.randn(3), torch.randn(3)
    torch.testing.assert_close(
        losses.discriminator_loss(real, fake), losses.real_loss(real) + losses.fake_loss(fake), rtol=0, atol=0
    )


def test_confident_logits_neither_overflow_nor_vanish() -> None:
    logits = torch.tensor([1000.0])
    assert losses.fake_loss(logits).item() == 1000.0
    assert losses.generator_loss(logits).item() == 0.0


@pytest.mark.parametrize("num_frames", [1, 3])
def test_r1_of_a_linear_critic_is_its_squared_weight(num_frames: int) -> None:
    """D(x) = sum_t <a, x_t> has gradient ``a`` at every frame, whatever the clip."""
    weight = torch.randn(3, 4, 4)
    clip = torch.randn(2, num_frames, 3, 4, 4, requires_grad=True)
    logits = (clip * weight).sum(dim=(1, 2, 3, 4))

    torch.testing.assert_close(losses.r1_penalty(logits, clip), weight.square().sum())


def test_r1_averages_over_frames_and_clips() -> None:
    """Only one frame of one of two clips matters: its squared norm over the number of frames in the batch."""
    weight = torch.zeros(2, 3, 3, 4, 4)
    weight[1, 2] = 2.0
    clip = torch.randn(2, 3, 3, 4, 4, requires_grad=True)

    penalty = losses.r1_penalty((clip * weight).sum(dim=(1, 2, 3, 4)), clip)

    assert penalty.item() == pytest.approx(3 * 4 * 4 * 2.0**2 / 6)


def test_r1_is_differentiable_in_the_critic() -> None:
    clip = torch.randn(2, 2, 1, 2, 2, dtype=torch.float64, requires_grad=True)

    def penalty(weight: Tensor) -> Tensor:
        return losses.r1_penalty(torch.tanh((clip * weight).sum(dim=(1, 2, 3, 4))), clip)

    weight = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, weight)


def summed_gradient(
    critic: Callable[[Tensor, Tensor], Tensor], weight: Tensor, clip: Tensor, step: float, shares: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Of the penalty with respect to a weight: exact, and by differences."""
    start = clip.clone().requires_grad_()
    (exact,) = torch.autograd.grad(losses.r1_penalty(critic(start, weight), start, shares), weight)
    (slope,) = torch.autograd.grad(critic(start, weight).sum(), start)
    parts = losses.r1_differences(lambda x: critic(x, weight), clip, slope, step, shares)
    return exact, sum(torch.autograd.grad(part, weight)[0] for part in parts)


@pytest.mark.parametrize("step", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("shares", [None, torch.tensor([1.0, 0.25], dtype=torch.float64)])
def test_differences_are_exact_for_a_quadratic_critic_that_couples_clips(step: float, shares: Tensor | None) -> None:
    weight = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
    clip = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)

    def critic(x: Tensor, weight: Tensor) -> Tensor:
        return (weight * x.square() + weight.square() * x * x.flip(0)).sum(dim=(1, 2, 3, 4))

    exact, found = summed_gradient(critic, weight, clip, step, shares)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


def test_differences_miss_the_third_derivative_by_the_square_of_the_step() -> None:
    """D = a sum x^3: a central difference along u is too large by e^2 sum u^3, where e is the step over rms(u)."""
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    clip = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    for step in (0.5, 0.05):
        exact, found = summed_gradient(lambda x, a: a * x.pow(3).sum(dim=(1, 2, 3, 4)), weight, clip, step)
        u = 2 / 6 * 3 * weight.detach() * clip.square()
        torch.testing.assert_close(found - exact, step**2 / u.square().mean() * u.pow(3).sum(), rtol=1e-6, atol=0)


def test_sides_of_a_difference_are_drawn_when_they_are_asked_for() -> None:
    seen = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(dim=(1, 2, 3, 4))

    clip, slope = torch.randn(2, 3, 1, 2, 2), torch.randn(2, 3, 1, 2, 2)
    parts = losses.r1_differences(critic, clip, slope, 0.01)
    assert len(seen) == 0
    next(parts)
    assert len(seen) == 1
    next(parts)
    for moved, sign in zip(seen, (1, -1), strict=True):
        torch.testing.assert_close(
            moved - clip, sign * 0.01 * slope / slope.square().mean().sqrt(), rtol=1e-3, atol=1e-6
        )


def linear_clips(ws: Tensor, jacobian: Tensor) -> Tensor:
    """Clips [B, T, C, H, W] that depend linearly on styles [B, L, D]."""
    return torch.einsum("bld,ldtchw->btchw", ws, jacobian)


def test_path_length_of_a_linear_generator() -> None:
    ws = torch.randn(4, 3, 5, requires_grad=True)
    jacobian = torch.randn(3, 5, 2, 3, 4, 8)
    noise = torch.randn(4, 2, 3, 4, 8)

    lengths = losses.path_lengths(linear_clips(ws, jacobian), ws, noise)

    projected = torch.einsum("ldtchw,btchw->bld", jacobian, noise) / math.sqrt(4 * 8)
    expected = projected.square().sum(2).mean(1).sqrt()
    torch.testing.assert_close(lengths, expected)


def test_path_length_penalty_moves_the_mean_first() -> None:
    ws = torch.randn(4, 3, 5, requires_grad=True)
    jacobian = torch.randn(3, 5, 2, 3, 4, 4, requires_grad=True)
    clip, noise = linear_clips(ws, jacobian), torch.randn(4, 2, 3, 4, 4)

    penalty, mean, lengths = losses.path_length_penalty(clip, ws, noise, torch.tensor(2.0))

    torch.testing.assert_close(mean, 0.99 * torch.tensor(2.0) + 0.01 * lengths.mean())
    torch.testing.assert_close(penalty.detach(), (lengths - mean).square().mean())
    assert penalty.requires_grad and not mean.requires_grad and not lengths.requires_grad


def test_gradient_of_the_deviation_reaches_the_lengths_through_the_mean() -> None:
    lengths = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    penalty, _ = losses.path_length_deviation(lengths, torch.tensor(0.0, dtype=torch.float64), decay=0.5)
    (gradient,) = torch.autograd.grad(penalty, lengths)
    # mean = 1, deviations 0 and 2; d/dl_i = (2 / B) (dev_i - decay * mean(dev)).
    torch.testing.assert_close(gradient, torch.tensor([-0.5, 1.5], dtype=torch.float64))


def test_path_length_penalty_is_differentiable_in_the_generator() -> None:
    ws = torch.randn(2, 1, 2, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(2, 1, 1, 2, 2, dtype=torch.float64)

    def penalty(jacobian: Tensor) -> Tensor:
        clip = torch.tanh(linear_clips(ws, jacobian))
        return losses.path_length_penalty(clip, ws, noise, torch.zeros((), dtype=torch.float64))[0]

    jacobian = torch.randn(1, 2, 1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, jacobian)
