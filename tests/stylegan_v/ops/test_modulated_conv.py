"""Scaling activations equals one kernel per image (StyleGAN2, eqs. 1-3), derivatives included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan_v.ops.modulated_conv import demodulation, modulated_conv2d, modulated_conv2d_per_image


def operands(kernel_size: int = 3, num_styles: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    shapes = (4, 3, 5, 6), (2, 3, kernel_size, kernel_size), (num_styles, 3)
    return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel_size", "up"), [(3, 1), (3, 2), (1, 1)])
def test_fast_equals_one_kernel_per_image_with_first_and_second_derivatives(
    kernel_size: int, up: int, demodulate: bool
) -> None:
    inputs = operands(kernel_size)
    results = []
    for function in (modulated_conv2d, modulated_conv2d_per_image):
        y = function(*inputs, up=up, demodulate=demodulate)
        first = torch.autograd.grad((y**2).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum((grad**2).sum() for grad in first), inputs)
        results.append([y, *first, *second])
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_under_autocast_a_backward_pass_may_run_outside(kernel_size: int) -> None:
    inputs = [operand.detach().float().requires_grad_() for operand in operands(kernel_size)]
    with torch.autocast("cpu", torch.bfloat16):
        y = modulated_conv2d(*inputs)
    assert y.dtype == torch.bfloat16
    plain = modulated_conv2d(*inputs)
    found, wanted = (torch.autograd.grad((out.float() ** 2).sum(), inputs) for out in (y, plain))
    for ours, expected in zip(found, wanted, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=0.1, atol=0.1 * expected.abs().max().item())


def test_frames_of_a_video_share_its_style() -> None:
    x, weight, styles = operands(num_styles=2)
    shared = modulated_conv2d(x, weight, styles)
    torch.testing.assert_close(shared, modulated_conv2d(x, weight, styles.repeat_interleave(2, dim=0)))


def test_demodulated_kernels_have_unit_norm() -> None:
    _, weight, styles = operands()
    kernels = weight[None] * styles[:, None, :, None, None] * demodulation(weight, styles)[:, :, None, None, None]
    torch.testing.assert_close(kernels.square().sum(dim=(2, 3, 4)), torch.ones(2, 2, dtype=torch.float64))
