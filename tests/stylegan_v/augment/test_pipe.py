"""The pipe as a whole: what acts on what, derivatives, precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan_v.augment import PRESETS, AugmentPipe
from stylegan_v.augment.draws import Draws
from stylegan_v.augment.matrices import inverse_geometry
from stylegan_v.noise import AddressedRandom
from tests.stylegan_v.augment.chosen import EVERYTHING, addressed, smooth_clip


def test_probability_zero_is_the_identity() -> None:
    clip = torch.randn(2, 3, 3, 16, 16)
    assert AugmentPipe(EVERYTHING)(clip, 0.0) is clip
    assert AugmentPipe(EVERYTHING)(clip, torch.zeros(())) is clip


def test_a_clip_on_which_nothing_acts_is_only_resampled() -> None:
    """The path that probability 0 skips is the identity up to its filter."""
    clip = smooth_clip()
    out = AugmentPipe("bgc")(clip, 1e-9, addressed([0]))
    assert out is not clip
    assert (out - clip).abs().max() < 2e-3


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in ("noise", "easy", "bgcfn", "bgcfnc")])
def test_all_frames_of_a_clip_get_the_same_transform(preset: str) -> None:
    clip = torch.rand(3, 4, 3, 24, 24) * 2 - 1
    out = AugmentPipe(preset)(clip, 0.7, addressed([0, 1, 2]))
    for frame in range(4):
        alone = AugmentPipe(preset)(clip[:, frame : frame + 1], 0.7, addressed([0, 1, 2]))
        torch.testing.assert_close(out[:, frame : frame + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("height", [32, 20])
def test_a_clip_alone_equals_the_same_clip_in_a_batch(height: int, p: float, per_frame: bool) -> None:
    clip = torch.rand(6, 2, 3, height, 32) * 2 - 1
    numbers = [7, 2, 9, 30, 4, 1]
    pipe = AugmentPipe(EVERYTHING, per_frame=per_frame)
    together = pipe(clip, p, addressed(numbers))
    for row, number in enumerate(numbers):
        alone = pipe(clip[row : row + 1], p, addressed([number]))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)


def test_clips_get_different_transforms_and_updates_too() -> None:
    clip = torch.rand(1, 1, 3, 16, 16).expand(4, -1, -1, -1, -1)
    out = AugmentPipe("bgc")(clip, 1.0, addressed([0, 1, 2, 3]))
    again = AugmentPipe("bgc")(clip, 1.0, addressed([0, 1, 2, 3], update=4))
    images = [*out, *again]
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(images) for b in images[:i])


def test_per_frame_mode_turns_frames_independently() -> None:
    clip = torch.rand(1, 1, 3, 16, 16).expand(2, 3, -1, -1, -1)
    out = AugmentPipe("bgc", per_frame=True)(clip, 1.0, addressed([0, 1])).flatten(0, 1)
    assert out.shape == (6, 3, 16, 16)
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(out) for b in out[:i])


def test_torch_s_seed_decides_where_no_source_is_given() -> None:
    clip, pipe = torch.rand(2, 2, 3, 16, 16), AugmentPipe(EVERYTHING)
    torch.manual_seed(5)
    first = pipe(clip, 0.8)
    torch.manual_seed(5)
    assert torch.equal(pipe(clip, torch.tensor(0.8)), first)
    assert not torch.equal(pipe(clip, 0.8), first)


def test_memory_layout_of_the_clip_does_not_matter() -> None:
    clip = torch.rand(2, 2, 3, 16, 20)
    twisted = clip.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (2, 2))
    for per_frame in (False, True):
        pipe = AugmentPipe(EVERYTHING, per_frame=per_frame)
        expected, out = pipe(clip, 1.0, addressed([0, 1])), pipe(twisted, 1.0, addressed([0, 1]))
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)


def test_repr_names_what_is_on() -> None:
    assert "hue=1" in repr(AugmentPipe("color"))
    assert "xflip" not in repr(AugmentPipe("color"))


# Derivatives and precision


def test_pipe_is_twice_differentiable() -> None:
    clip = torch.rand(3, 1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    random = addressed([0, 1, 3])  # chosen so that all ways to warp occur
    pipe = AugmentPipe(EVERYTHING)
    settings = pipe.settings
    maps = inverse_geometry(settings, Draws(settings, 0.35, random), 5, 5)
    ways = {(bool(m[0, 0].abs() < 1e-9), bool(m[0, 1].abs() < 1e-9)) for m in maps}
    assert ways == {(False, False), (True, False), (False, True)}

    def energy(clip: Tensor) -> Tensor:
        return pipe(clip, 0.35, random).pow(3).sum()

    assert torch.autograd.gradcheck(energy, clip, fast_mode=True)
    assert torch.autograd.gradgradcheck(energy, clip, fast_mode=True)


def test_backward_is_the_transpose_of_forward() -> None:
    """Also in float32 and blocks: the inner products of A x with y and of x with A' y are equal."""
    pipe = AugmentPipe("bgcf", {"brightness": 0})
    x, y = torch.randn(2, 4, 2, 3, 104, 112).unbind(0)
    x.requires_grad_()
    out = pipe(x, 0.6, addressed([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(out, x, y)
    assert (out * y).sum().item() == pytest.approx((gradient * x).sum().item(), rel=1e-4)


def test_r1_of_a_linear_critic_passes_through_the_pipe() -> None:
    """D(A x) = <a, A x> has the gradient A' a; its squared norm depends on a through both passes."""
    pipe, random = AugmentPipe("bgc"), addressed([3, 4])
    clip = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((pipe(clip, 1.0, random) * weight).sum(), clip, create_graph=True)
    (of_weight,) = torch.autograd.grad(gradient.square().sum(), weight)
    # d |A' a|^2 / d a = 2 A A' a, and A is the pipe without its offset.
    offset = pipe(torch.zeros_like(clip), 1.0, random)
    torch.testing.assert_close(of_weight, 2 * (pipe(gradient, 1.0, random) - offset))


def test_autocast_changes_neither_values_nor_gradients() -> None:
    clip = torch.randn(3, 2, 3, 16, 16, requires_grad=True)
    pipe, weight = AugmentPipe(EVERYTHING), torch.randn(3, 2, 3, 16, 16)

    def gradients() -> tuple[Tensor, Tensor, Tensor]:
        out = pipe(clip, 0.7, addressed([0, 1, 2]))
        (first,) = torch.autograd.grad((out**2 * weight).sum(), clip, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), clip)
        return out, first, second

    plain = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for ours, expected in zip(gradients(), plain, strict=True):
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours, expected)


def test_half_precision_clips_are_computed_in_float32() -> None:
    clip = torch.rand(1, 2, 3, 16, 16).bfloat16()
    out = AugmentPipe("bgc")(clip, 1.0, addressed([0]))
    assert torch.equal(out, AugmentPipe("bgc")(clip.float(), 1.0, addressed([0])))


def test_matrices_made_in_inference_mode_serve_training() -> None:
    size = 19  # a size of no other test: nothing is cached yet
    with torch.inference_mode():
        AugmentPipe("bgcf")(torch.rand(2, 1, 3, size, size), 1.0, addressed([0, 1]))
    clip = torch.rand(2, 1, 3, size, size, requires_grad=True)
    AugmentPipe("bgcf")(clip, 1.0, addressed([0, 1])).sum().backward()
    assert clip.grad is not None


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_values_and_second_derivatives() -> None:
    pipe = AugmentPipe(EVERYTHING)

    def results(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        clip, weight = torch.rand(2, 6, 2, 3, 32, 32).to(device).unbind(0)
        random = AddressedRandom(0, 0, "test", torch.arange(6, device=device))
        weight.requires_grad_()
        out = pipe(clip.requires_grad_(), 0.6, random)
        (first,) = torch.autograd.grad((out * weight).sum(), clip, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), weight)
        return [out.cpu(), first.cpu(), second.cpu()]

    for ours, expected in zip(results("cuda"), results("cpu"), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
